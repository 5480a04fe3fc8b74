SELECT 1 FROM scheduler.session, scheduler.blast, scheduler.recipient_chunk, scheduler.in_flight, scheduler.parked
WHERE false;
