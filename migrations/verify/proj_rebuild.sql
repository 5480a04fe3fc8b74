SELECT 1 / (has_function_privilege('tracker', 'proj_tools.build()', 'EXECUTE')
            AND NOT has_function_privilege('dashboard', 'proj_tools.build()', 'EXECUTE'))::integer;
