SELECT 1 FROM ingress.submission, ingress.submission_verdict, ingress.partition_owner WHERE false;
