"""
Waiting for locks without making others wait. A statement that changes a table waits for every transaction that has read
the table, and all later statements on it queue behind that one, although they would have run.
"""

import re
import time

from django.db import Error, OperationalError

from form.database import separate_connection

# Seconds that a statement waits for its locks, and others behind it: less than a visitor takes for an outage.
TRY_SECONDS = 2
# Seconds in which the others run, until the next try.
PAUSE_SECONDS = 8
LOCK_WAIT_TIMEOUT, DEADLOCK = 1205, 1213

# Who holds a table of this statement or one linked to it by a foreign key, or a lock of the whole server, for longer than a try.
# A session that is idle or has a lock by LOCK TABLES need not have a transaction.
HOLDERS = """
SELECT thread.processlist_id, thread.processlist_user, thread.processlist_host, thread.processlist_command,
    CAST(GREATEST(COALESCE(MAX(work.timer_wait) DIV 1000000000000, 0), thread.processlist_time) AS SIGNED) AS seconds,
    GROUP_CONCAT(DISTINCT COALESCE(held.object_name, 'the whole server') SEPARATOR ', ')
FROM performance_schema.metadata_locks held
JOIN performance_schema.threads thread ON thread.thread_id = held.owner_thread_id
LEFT JOIN performance_schema.events_transactions_current work
    ON work.thread_id = thread.thread_id AND work.state = 'ACTIVE'
WHERE held.lock_status = 'GRANTED' AND thread.processlist_id <> CONNECTION_ID() AND thread.processlist_id <> %s
    AND (held.object_type = 'TABLE' AND held.object_schema = DATABASE() AND held.object_name IN %s
        OR held.object_type IN ('GLOBAL', 'BACKUP LOCK', 'COMMIT') AND held.lock_type = 'SHARED')
GROUP BY thread.processlist_id, thread.processlist_user, thread.processlist_host, thread.processlist_command,
    thread.processlist_time
HAVING seconds >= %s
ORDER BY seconds DESC LIMIT 3
"""
LINKED = """
SELECT table_name, referenced_table_name FROM information_schema.key_column_usage
WHERE table_schema = DATABASE() AND referenced_table_schema = DATABASE()
"""


class Patient:
    """
    Wraps each statement of a connection whose `lock_wait_timeout` is short: lets go, says who is in the way, tries again.
    MySQL cannot roll back half a migration, so what is tried again is the one statement that did nothing. Ends with
    the caller's deadline.
    """

    def __init__(self, say):
        self._say = say

    def __call__(self, execute, sql, params, many, context):
        while True:
            try:
                return execute(sql, params, many, context)
            except OperationalError as error:
                if not _free_to_repeat(error.args[0], context["connection"].in_atomic_block):
                    raise
            begin = " ".join(sql.split()[:3])
            self._say(f"\n{begin} ... waits for a lock: {holders(sql, context['connection'])}; trying again")
            time.sleep(PAUSE_SECONDS)


def holders(sql, waiting):
    """Who holds what the statement of this connection needs, in words."""
    observer = separate_connection(waiting.alias, TRY_SECONDS)
    try:
        with observer.cursor() as cursor:
            cursor.execute(LINKED)
            tables = touched(sql, waiting.introspection.table_names(cursor), cursor.fetchall())
            cursor.execute(HOLDERS, [waiting.connection.thread_id(), tables or [""], TRY_SECONDS])
            found = cursor.fetchall()
    except Error as error:
        return "MySQL does not say who holds it: " + " ".join(str(part) for part in error.args)
    finally:
        observer.close()
    return "; ".join(describe(*holder) for holder in found) or "whoever held it has let go"


def _free_to_repeat(number, in_transaction):
    # A timeout ends the statement alone; a deadlock also rolls back the transaction, whose earlier statements would be missing.
    return number == LOCK_WAIT_TIMEOUT or number == DEADLOCK and not in_transaction


def touched(sql, tables, links):
    """The tables whose locks a statement may need: those it names, and those linked to them."""
    named = {table for table in tables if re.search(rf"\b{table}\b", sql)}
    return sorted(named | {table for link in links if named & set(link) for table in link})


def describe(number, user, host, command, seconds, what):
    """One holder, as a person looks for it in the process list."""
    doing = "idle" if command == "Sleep" else command
    return f"connection {number} of {user}@{host} ({doing}) has held {what} for {seconds} s"
