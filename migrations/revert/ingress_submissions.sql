BEGIN;

DROP TABLE ingress.submission_verdict, ingress.submission, ingress.command_verdict, ingress.outbox,
           ingress.output_position, ingress.input_offset, ingress.partition_owner;

COMMIT;
