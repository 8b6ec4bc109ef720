# shellcheck shell=bash
# SQL that several programs of the MySQL images need. Sourced by lib.sh and probe.sh.
# shellcheck disable=SC2034 # Not every program needs all of it.

# told NAME: prints an expression for the number that a companion of this server keeps in a variable of its session, where other pods can read
# it; NULL as long as there is none. Anyone may set a variable in a session of his own, so only root's sessions count.
told() {
    echo "(SELECT MAX(CAST(CONVERT(variable_value USING utf8mb4) AS SIGNED)) FROM performance_schema.user_variables_by_thread
        JOIN performance_schema.threads USING (thread_id) WHERE variable_name = '$1' AND processlist_user = 'root')"
}

# Statements that set @beat to the time of the heartbeat in this data, by the master's clock, @difference to the microseconds since then by this
# server's clock, and @age to the same without what the two clocks differ by, as far as follow has found out; NULL if there is no heartbeat. The
# oldest volumes do not have the heartbeat table, so a query that uses it must not fail on them.
SET_AGE="
    SET @beat = NULL, @query = IF(
        EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = 'replication' AND table_name = 'heartbeat'),
        'SELECT MAX(at) INTO @beat FROM replication.heartbeat', 'DO 0');
    PREPARE query FROM @query;
    EXECUTE query;
    SET @difference = TIMESTAMPDIFF(MICROSECOND, @beat, UTC_TIMESTAMP(6));
    SET @age = @difference - IFNULL($(told dabaweb_ahead), 0);"
readonly SET_AGE

# Condition on performance_schema.threads: the commit of the session waits for a slave, or behind a commit that does. An idle session
# may still show its last state.
readonly COMMIT_HANGS="processlist_command <> 'Sleep' AND
    processlist_state IN ('Waiting for semi-sync ACK from replica', 'waiting for handler commit')"

# The error that stopped the applier, as "number message". With several workers, this is the one that failed: the others end with 3030
# (ER_REPLICA_WORKER_STOPPED_PREVIOUS_THD_ERROR), which names a transaction without a fault.
readonly WORKER_ERROR="SELECT CONCAT_WS(' ', last_error_number, last_error_message)
    FROM performance_schema.replication_applier_status_by_worker
    WHERE last_error_number <> 0 ORDER BY last_error_number = 3030, worker_id LIMIT 1"

# apply_password USER PASSWORD [REST]: prints statements that set the password of an account, if it exists; REST follows in ALTER USER.
# Credentials are applied, not compared: kept volumes and lost state need no old password. The former password stays valid until the next
# change, however often the server starts in between, so that the pods that use it can follow one by one. Therefore only a change retains it,
# and the account itself says which password was applied last: its attribute is part of the data, of every copy too. Without RETAIN, a former
# password that is retained already stays. The passwords are random and long, so a hash tells nothing about them.
apply_password() {
    cat <<SQL
SET @changed = NOT EXISTS (SELECT 1 FROM mysql.user WHERE user = '$1' AND host = '%'
    AND user_attributes->>'$.metadata.password' = SHA2('$2', 256));
SET @step = CONCAT("ALTER USER IF EXISTS '$1'@'%' IDENTIFIED BY '$2'", IF(@changed, ' RETAIN CURRENT PASSWORD', ''), " ${3-}",
    " ATTRIBUTE '", JSON_OBJECT('password', SHA2('$2', 256)), "'");
PREPARE step FROM @step;
EXECUTE step;
SQL
}

# The user's tables that are not InnoDB, as "schema.table ENGINE, ...", or an empty string. An account sees only tables that it has a privilege on.
readonly NOT_INNODB="(SELECT IFNULL(GROUP_CONCAT(REPLACE(CONCAT(table_schema, '.', table_name, ' ', engine), '|', '/') SEPARATOR ', '), '')
    FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND engine <> 'InnoDB'
    AND table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema'))"

# How many differences from the master a slave has found in what it holds: compare leaves the number where other pods can see it. An empty
# string until it has done so, because a slave that has just started may have found some before.
DIFFERENCES="IFNULL($(told dabaweb_differs), '')"
readonly DIFFERENCES
