BEGIN;

DROP TABLE scheduler.parked, scheduler.in_flight, scheduler.recipient_chunk, scheduler.blast, scheduler.session;

COMMIT;
