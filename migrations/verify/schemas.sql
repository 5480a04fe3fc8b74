SELECT 1 / (has_schema_privilege('tracker', 'proj', 'USAGE') AND has_schema_privilege('ingress', 'proj', 'USAGE')
            AND has_schema_privilege('dashboard', 'proj', 'USAGE')
            AND has_schema_privilege('ingress', 'ingress', 'USAGE')
            AND has_schema_privilege('connector', 'connector', 'USAGE')
            AND has_schema_privilege('scheduler', 'scheduler', 'USAGE')
            AND has_schema_privilege('webhooks', 'webhooks', 'USAGE')
            AND NOT has_schema_privilege('connector', 'proj', 'USAGE')
            AND NOT has_schema_privilege('dashboard', 'ingress', 'USAGE')
            AND NOT has_schema_privilege('tracker', 'proj', 'CREATE'))::int;
