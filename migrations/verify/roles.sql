SELECT 1 / (count(*) = 6)::int
FROM pg_roles
WHERE rolname IN ('ingress', 'connector', 'scheduler', 'tracker', 'webhooks', 'dashboard');
