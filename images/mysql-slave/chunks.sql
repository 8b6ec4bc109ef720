-- How to compare the rows of one table in chunks. @s and @t are the names of the schema and the table. Sets @rows and @bytes to estimates,
-- @key to the unique index that orders the rows (NULL if there is none), and these parts of statements, which use @a1, @a2, ... for the last
-- key of the chunk before and @b1, @b2, ... for the last key of the chunk:
--   @sum    counts the rows and adds 60 bits of a hash of each row; the order of rows does not matter
--   @lower  the condition for rows after @a...     @upper  the condition for rows up to @b...
--   @next   selects the assignments of @b... from a row
--   @order  the order of the rows
-- The hash of a row is exact to the bit: no collation, no rounding, NULL is not ''. Virtual columns are not stored, so they are left out.
SELECT IFNULL(SUM(n_rows), 0), IFNULL(SUM(clustered_index_size), 0) * @@innodb_page_size INTO @rows, @bytes
FROM mysql.innodb_table_stats
WHERE database_name = @s AND (table_name = @t OR LOWER(LEFT(table_name, CHAR_LENGTH(@t) + 3)) = LOWER(CONCAT(@t, '#p#')));
SET @key = (SELECT index_name
    FROM information_schema.statistics JOIN information_schema.columns USING (table_schema, table_name, column_name)
    WHERE table_schema = @s AND table_name = @t
    GROUP BY index_name
    HAVING MAX(non_unique) = 0 AND MIN(is_visible) = 'YES' AND MAX(columns.is_nullable) = 'NO' AND MAX(sub_part) IS NULL
        AND COUNT(*) = (SELECT COUNT(*) FROM information_schema.statistics AS parts
            WHERE parts.table_schema = @s AND parts.table_name = @t AND parts.index_name = statistics.index_name)
        AND MIN(data_type IN ('tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'year', 'date', 'time', 'datetime', 'timestamp',
            'char', 'varchar', 'binary', 'varbinary')) = 1
    ORDER BY index_name = 'PRIMARY' DESC, COUNT(*), index_name
    LIMIT 1);
SET @sum = NULL, @lower = NULL, @upper = NULL, @next = NULL, @order = NULL;
SET @from = CONCAT(' FROM `', REPLACE(@s, '`', '``'), '`.`', REPLACE(@t, '`', '``'), '`',
    IFNULL(CONCAT(' FORCE INDEX (`', REPLACE(@key, '`', '``'), '`)'), ''));
SELECT CONCAT('SELECT CONCAT_WS('' '', COUNT(*), IFNULL(SUM(CAST(CONV(LEFT(SHA2(CONCAT_WS(''#'', ',
    GROUP_CONCAT(CONCAT('IFNULL(', CASE
        WHEN data_type IN ('tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'year', 'date', 'time', 'datetime', 'timestamp')
            THEN quoted
        WHEN data_type IN ('float', 'double') THEN CONCAT('CAST(', quoted, ' AS DOUBLE)')
        WHEN data_type IN ('bit', 'enum', 'set') THEN CONCAT('CAST(', quoted, ' AS UNSIGNED)')
        WHEN data_type IN ('char', 'varchar', 'binary', 'varbinary') AND octets <= 1024 THEN CONCAT('HEX(', quoted, ')')
        ELSE CONCAT('SHA2(', quoted, ', 256)') END, ', ''N'')') ORDER BY place),
    '), 256), 15), 16, 10) AS UNSIGNED)), 0))', @from) INTO @sum
FROM (
    SELECT data_type, CONCAT('`', REPLACE(column_name, '`', '``'), '`') AS quoted, character_octet_length AS octets, ordinal_position AS place
    FROM information_schema.columns
    WHERE table_schema = @s AND table_name = @t AND extra NOT LIKE '%VIRTUAL GENERATED%') AS kept;
WITH parts AS (
    SELECT seq_in_index AS i, CONCAT('`', REPLACE(column_name, '`', '``'), '`') AS quoted, data_type, character_set_name, collation_name
    FROM information_schema.statistics JOIN information_schema.columns USING (table_schema, table_name, column_name)
    WHERE table_schema = @s AND table_name = @t AND index_name = @key),
equals AS (
    SELECT i, quoted, data_type, character_set_name, collation_name,
        IFNULL((SELECT CONCAT(GROUP_CONCAT(CONCAT(quoted, ' = @a', i) ORDER BY i SEPARATOR ' AND '), ' AND ')
            FROM parts AS before_it WHERE before_it.i < parts.i), '') AS same
    FROM parts)
SELECT
    CONCAT('(', GROUP_CONCAT(CONCAT('(', same, quoted, ' > @a', i, ')') ORDER BY i SEPARATOR ' OR '), ')'),
    CONCAT('(', GROUP_CONCAT(CONCAT('(', REPLACE(same, ' = @a', ' = @b'), quoted,
        IF(i = (SELECT MAX(i) FROM parts), ' <= @b', ' < @b'), i, ')') ORDER BY i SEPARATOR ' OR '), ')'),
    CONCAT('SELECT CONCAT(''@b', GROUP_CONCAT(CONCAT(i, ' = '', ', CASE
        WHEN data_type IN ('char', 'varchar') THEN
            CONCAT('''_', character_set_name, ' x'''''', HEX(', quoted, '), '''''' COLLATE ', collation_name, '''')
        WHEN data_type IN ('binary', 'varbinary') THEN CONCAT('''x'''''', HEX(', quoted, '), ''''''''')
        WHEN data_type IN ('date', 'time', 'datetime', 'timestamp') THEN CONCAT('QUOTE(', quoted, ')')
        ELSE quoted END) ORDER BY i SEPARATOR ', '', @b'), ')', @from),
    GROUP_CONCAT(quoted ORDER BY i SEPARATOR ', ')
    INTO @lower, @upper, @next, @order
FROM equals;
