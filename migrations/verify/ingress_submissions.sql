SELECT 1 FROM ingress.submission, ingress.submission_verdict, ingress.partition_owner WHERE false;
SELECT session_uuid, session_key FROM ingress.submission_verdict WHERE false;
