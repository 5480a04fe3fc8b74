# An own Kafka 3.9 in $state/kafka: one node in KRaft mode, from the jars of deploy/kafka/fetch.
# To be sourced after state.sh.
# shellcheck shell=bash disable=SC2154 # lib, state and port come from state.sh
#
#   KENTONGAN_KAFKA_OPTS   options of the Java machine; the default starts quickly; empty pays after some 10,000 messages

kafka_jars=$lib/../../build/kafka/lib
kafka_home=$state/kafka
kafka_pidfile=$state/run/kafka.pid
kafka_log=$state/log/kafka.log

# After a kill -9 the new broker is let in when the old one's session is over: hence 4 s rather than Kafka's 9.
kafka_config() {
    cat <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${port[kafka-controller]}
listeners=PLAINTEXT://127.0.0.1:${port[kafka]},CONTROLLER://127.0.0.1:${port[kafka-controller]}
advertised.listeners=PLAINTEXT://127.0.0.1:${port[kafka]}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$kafka_home/data
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
END
}

kafka_format() {
    local id
    [ ! -e "$kafka_home/data/meta.properties" ] || return 0
    need_space "$state" 512
    rm -rf "${kafka_home:?}/data"
    say 'formatting the Kafka log folder'
    id=$(openssl rand 16 | base64 | tr '+/' 'AB' | cut -c1-22)
    java -Xmx128m -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$kafka_jars/*" kafka.tools.StorageTool format \
        -t "$id" -c "$kafka_home/server.properties" >"$kafka_log" 2>&1 || {
        show_log_end "$kafka_log"
        rm -rf "${kafka_home:?}/data"
        die 'the Kafka log folder could not be formatted'
    }
}

kafka_need_ports() {
    need_port Kafka "${port[kafka]}" KENTONGAN_PORT_KAFKA
    need_port "Kafka's controller" "${port[kafka-controller]}" KENTONGAN_PORT_KAFKA_CONTROLLER
}

kafka_start() {
    [ -d "$kafka_jars" ] || die 'the Kafka jars are missing: run deploy/install'
    ! is_running "$kafka_pidfile" || return 0
    kafka_need_ports
    need_space "$state" 256
    mkdir -p "$kafka_home"
    kafka_config >"$kafka_home/server.properties"
    kafka_format
    local options=${KENTONGAN_KAFKA_OPTS--XX:TieredStopAtLevel=1}
    # shellcheck disable=SC2086 # several options in one variable
    spawn "$kafka_pidfile" "$kafka_log" java -Xms256m -Xmx512m -XX:+UseSerialGC $options \
        -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true \
        -cp "$kafka_jars/*" kafka.Kafka "$kafka_home/server.properties"
}

# The start of the Java machine takes seconds: the caller starts something else meanwhile and then waits here.
kafka_wait() {
    wait_until 90 kafka_answers_or_died || true
    kafka_healthy || {
        show_log_end "$kafka_log"
        die "Kafka does not answer on port ${port[kafka]}"
    }
}

kafka_answers_or_died() {
    kafka_healthy || is_gone "$kafka_pidfile"
}

kafka_healthy() {
    is_running "$kafka_pidfile" && python3 "$lib/kafka_ready.py" 127.0.0.1 "${port[kafka]}" >/dev/null 2>&1
}

kafka_stop() {
    stop_pid Kafka "$kafka_pidfile" 60
}
