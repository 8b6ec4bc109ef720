# shellcheck shell=bash
# SQL that more than one program of the MySQL images needs. Sourced by lib.sh and probe.sh.
# shellcheck disable=SC2034 # Not every program needs all of it.

# Statements that set @age to the microseconds since the heartbeat in this data, NULL where it has none. The heartbeat's table is younger
# than the first volumes: a query that names it must not fail for those.
readonly SET_AGE="
    SET @age = NULL, @query = IF(
        EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = 'replication' AND table_name = 'heartbeat'),
        'SELECT TIMESTAMPDIFF(MICROSECOND, MAX(at), UTC_TIMESTAMP(6)) INTO @age FROM replication.heartbeat', 'DO 0');
    PREPARE query FROM @query;
    EXECUTE query;"

# Condition on performance_schema.threads: its commit waits for a slave, or behind one that does. A session
# that is idle may still show its last state.
readonly COMMIT_HANGS="processlist_command <> 'Sleep' AND
    processlist_state IN ('Waiting for semi-sync ACK from replica', 'waiting for handler commit')"

# What the applier stopped at, as "number message". Of several workers the one that failed: the others end with 3030
# (ER_REPLICA_WORKER_STOPPED_PREVIOUS_THD_ERROR), which names a transaction that is in order.
readonly WORKER_ERROR="SELECT CONCAT_WS(' ', last_error_number, last_error_message)
    FROM performance_schema.replication_applier_status_by_worker
    WHERE last_error_number <> 0 ORDER BY last_error_number = 3030, worker_id LIMIT 1"
