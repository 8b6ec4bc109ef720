-- One line per fact about what a server holds, except rows: KIND NAME VALUE, where NAME is the schema and the object in hexadecimal. compare
-- asks the master and the slave the same; equal servers answer the same. What is left out differs between a master and its slave on
-- purpose: statistics, the next AUTO_INCREMENT value, whether an event runs, accounts at localhost, and the password of seed.
SELECT CONCAT_WS(' ', 'database', HEX(schema_name), CONCAT_WS('/', default_character_set_name, default_collation_name, default_encryption))
FROM information_schema.schemata
WHERE schema_name NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
ORDER BY HEX(schema_name);
SELECT CONCAT_WS(' ', 'table', CONCAT(HEX(table_schema), '.', HEX(table_name)),
    CONCAT_WS('/', engine, LEFT(SHA2(CONCAT_WS('|', table_collation, create_options, table_comment), 256), 16)))
FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
ORDER BY HEX(table_schema), HEX(table_name);
SELECT CONCAT_WS(' ', 'view', CONCAT(HEX(table_schema), '.', HEX(table_name)), LEFT(SHA2(
    CONCAT_WS('|', view_definition, check_option, definer, security_type, character_set_client, collation_connection), 256), 16))
FROM information_schema.views
WHERE table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
ORDER BY HEX(table_schema), HEX(table_name);
SELECT CONCAT_WS(' ', 'columns', CONCAT(HEX(table_schema), '.', HEX(table_name)), LEFT(SHA2(GROUP_CONCAT(CONCAT_WS('|',
    HEX(column_name), column_type, is_nullable, IFNULL(HEX(column_default), 'NULL'), IFNULL(character_set_name, ''), IFNULL(collation_name, ''),
    extra, HEX(generation_expression), IFNULL(srs_id, ''), HEX(column_comment)) ORDER BY ordinal_position), 256), 16))
FROM information_schema.columns
WHERE table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
GROUP BY table_schema, table_name
ORDER BY HEX(table_schema), HEX(table_name);
SELECT CONCAT_WS(' ', 'indexes', CONCAT(HEX(table_schema), '.', HEX(table_name)), LEFT(SHA2(GROUP_CONCAT(CONCAT_WS('|',
    HEX(index_name), non_unique, IFNULL(HEX(column_name), ''), IFNULL(HEX(expression), ''), IFNULL(collation, ''), IFNULL(sub_part, ''),
    index_type, is_visible) ORDER BY index_name, seq_in_index), 256), 16))
FROM information_schema.statistics
WHERE table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
GROUP BY table_schema, table_name
ORDER BY HEX(table_schema), HEX(table_name);
SELECT CONCAT_WS(' ', 'foreign-keys', CONCAT(HEX(constraint_schema), '.', HEX(table_name)), LEFT(SHA2(GROUP_CONCAT(CONCAT_WS('|',
    HEX(constraint_name), HEX(column_name), HEX(referenced_table_schema), HEX(key_column_usage.referenced_table_name), HEX(referenced_column_name),
    update_rule, delete_rule) ORDER BY constraint_name, ordinal_position), 256), 16))
FROM information_schema.key_column_usage JOIN information_schema.referential_constraints USING (constraint_schema, constraint_name, table_name)
GROUP BY constraint_schema, table_name
ORDER BY HEX(constraint_schema), HEX(table_name);
SELECT CONCAT_WS(' ', 'checks', CONCAT(HEX(constraint_schema), '.', HEX(table_name)), LEFT(SHA2(GROUP_CONCAT(CONCAT_WS('|',
    HEX(constraint_name), check_clause, enforced) ORDER BY constraint_name), 256), 16))
FROM information_schema.check_constraints JOIN information_schema.table_constraints USING (constraint_schema, constraint_name)
GROUP BY constraint_schema, table_name
ORDER BY HEX(constraint_schema), HEX(table_name);
SELECT CONCAT_WS(' ', 'partitions', CONCAT(HEX(table_schema), '.', HEX(table_name)), LEFT(SHA2(GROUP_CONCAT(CONCAT_WS('|',
    HEX(partition_name), partition_method, subpartition_method, partition_expression, subpartition_expression, partition_description)
    ORDER BY partition_ordinal_position, subpartition_ordinal_position), 256), 16))
FROM information_schema.partitions
WHERE partition_name IS NOT NULL AND table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
GROUP BY table_schema, table_name
ORDER BY HEX(table_schema), HEX(table_name);
SELECT CONCAT_WS(' ', 'trigger', CONCAT(HEX(trigger_schema), '.', HEX(trigger_name)), LEFT(SHA2(CONCAT_WS('|', HEX(event_object_table),
    event_manipulation, action_timing, action_order, action_statement, sql_mode, definer, character_set_client, collation_connection), 256), 16))
FROM information_schema.triggers
WHERE trigger_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
ORDER BY HEX(trigger_schema), HEX(trigger_name);
SELECT CONCAT_WS(' ', LOWER(routine_type), CONCAT(HEX(routine_schema), '.', HEX(routine_name)), LEFT(SHA2(CONCAT_WS('|', routine_definition,
    dtd_identifier, is_deterministic, sql_data_access, security_type, sql_mode, definer, routine_comment, character_set_client,
    (SELECT GROUP_CONCAT(CONCAT_WS('|', ordinal_position, parameter_mode, HEX(parameter_name), dtd_identifier) ORDER BY ordinal_position)
        FROM information_schema.parameters
        WHERE specific_schema = routine_schema AND specific_name = routine_name AND parameters.routine_type = routines.routine_type)), 256), 16))
FROM information_schema.routines
WHERE routine_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
ORDER BY routine_type, HEX(routine_schema), HEX(routine_name);
SELECT CONCAT_WS(' ', 'event', CONCAT(HEX(event_schema), '.', HEX(event_name)), LEFT(SHA2(CONCAT_WS('|', event_definition, event_type, execute_at,
    interval_value, interval_field, starts, ends, on_completion, time_zone, sql_mode, definer, event_comment), 256), 16))
FROM information_schema.events
WHERE event_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
ORDER BY HEX(event_schema), HEX(event_name);
SELECT CONCAT_WS(' ', 'account', HEX(CONCAT(QUOTE(user), '@', QUOTE(host))), LEFT(SHA2(CONCAT_WS('|', plugin, ssl_type, account_locked,
    IF(user = 'seed', '', IFNULL(HEX(authentication_string), ''))), 256), 16))
FROM mysql.user
WHERE host <> 'localhost'
ORDER BY HEX(CONCAT(QUOTE(user), '@', QUOTE(host)));
SELECT CONCAT_WS(' ', 'grants', HEX(grantee), LEFT(SHA2(GROUP_CONCAT(allowed ORDER BY allowed), 256), 16))
FROM (
    SELECT grantee, CONCAT_WS('|', privilege_type, is_grantable) AS allowed FROM information_schema.user_privileges
    UNION ALL SELECT grantee, CONCAT_WS('|', HEX(table_schema), privilege_type, is_grantable) FROM information_schema.schema_privileges
    UNION ALL SELECT grantee, CONCAT_WS('|', HEX(table_schema), HEX(table_name), privilege_type, is_grantable)
        FROM information_schema.table_privileges
    UNION ALL SELECT grantee, CONCAT_WS('|', HEX(table_schema), HEX(table_name), HEX(column_name), privilege_type, is_grantable)
        FROM information_schema.column_privileges
    UNION ALL SELECT CONCAT(QUOTE(to_user), '@', QUOTE(to_host)), CONCAT_WS('|', from_user, from_host, with_admin_option) FROM mysql.role_edges
    UNION ALL SELECT CONCAT(QUOTE(user), '@', QUOTE(host)), CONCAT_WS('|', db, routine_name, routine_type, proc_priv) FROM mysql.procs_priv
) AS every
WHERE grantee NOT LIKE '%@''localhost'''
GROUP BY grantee
ORDER BY HEX(grantee);
