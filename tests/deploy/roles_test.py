"""What each role of PostgreSQL may do, by trying everything on a database that is wholly migrated: every table, view,
sequence, function and schema that there is, whoever made it. What the tables here do not name must be refused."""

import json
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from stack import TOP, Stack  # noqa: E402

BUILD = sys.argv.pop() if len(sys.argv) > 1 else TOP / "build" / "asan"
ROLES = ("ingress", "connector", "scheduler", "tracker", "webhooks", "dashboard")
ROWS = {"select", "insert", "update", "delete"}
LEDGER = ("partition_owner", "input_offset", "output_position", "outbox", "command_verdict")

# by role and schema: what it may do with each table there
ALLOWED = {
    ("ingress", "ingress"): ROWS,
    ("connector", "connector"): ROWS,
    ("scheduler", "scheduler"): ROWS,
    ("webhooks", "webhooks"): ROWS,
    ("tracker", "proj"): ROWS,
    ("ingress", "proj"): {"select"},
    ("dashboard", "proj"): {"select"},
}
# by role and table: what it may do there instead
INSTEAD = {(role, f"proj.{table}"): set() for role in ("ingress", "dashboard") for table in LEDGER} | {
    ("dashboard", "proj.sessions"): set(),  # column by column: HIDDEN are not among them
}
HIDDEN = {("dashboard", "proj.sessions"): {"token_enc", "webhook_secret_enc"}}
FUNCTIONS = {"tracker": {f"proj_tools.{n}" for n in "build compare distance swap drop_old drop_next".split()}}
SEQUENCES = {"ingress": "ingress", "connector": "connector", "scheduler": "scheduler", "webhooks": "webhooks", "tracker": "proj"}
# nobody may: whatever it is, it is not in a schema
FORBIDDEN = {
    "make a schema": "CREATE SCHEMA kentongan_try",
    "make a table for the time of a session": "CREATE TEMP TABLE kentongan_try (n int)",
    "make a role": "CREATE ROLE kentongan_try",
    "become the superuser": "SET ROLE postgres",
    "give itself rights": "ALTER ROLE CURRENT_USER SUPERUSER",
    "read a file of the server": "SELECT pg_read_file('/etc/hostname')",
    "run a program on the server": "COPY (SELECT 1) TO PROGRAM 'true'",
    "read passwords": "SELECT rolpassword FROM pg_authid",
    "load a library": "LOAD 'auto_explain'",
    "make a function in a language of the server's": "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE c AS 'x'",
}

CATALOG = """
select json_build_object(
  'tables', (select coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname, 'is_view', c.relkind = 'v',
      'columns', (select json_agg(a.attname order by a.attnum) from pg_attribute a
                  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.attidentity = ''))
      order by 1), '[]') from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'v', 'm', 'f') and {own}),
  'sequences', (select coalesce(json_agg(n.nspname || '.' || c.relname), '[]') from pg_class c
      join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'S' and {own}),
  'functions', (select coalesce(json_agg(json_build_object('name', n.nspname || '.' || p.proname, 'arguments',
      (select string_agg(format('null::%s', format_type(t, null)), ', ') from unnest(p.proargtypes) t))), '[]')
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace where {own}),
  'schemas', (select json_agg(n.nspname) from pg_namespace n where {own}))
""".format(own="n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'")

# runs each statement as the role that is logged in, undoes it, and tells its SQLSTATE
TRY = """
do $do$
declare
    one record;
begin
    for one in select * from jsonb_each_text($list${list}$list$) loop
        begin
            execute one.value;
            raise exception using errcode = 'KT000';
        exception when others then
            raise notice 'tried % %', sqlstate, one.key;
        end;
    end loop;
end
$do$;
"""
REFUSED = "42501"
# of views: they could not be written whatever the rights
IMPOSSIBLE = ("55000", "42809", "0A000")


class Roles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = cls.enterClassContext(Stack("roles", BUILD))
        cls.stack.ctl("start", "postgres")
        cls.stack.run("deploy/lib/migrate")
        cls.read_catalog()
        names = {f"{t['schema']}.{t['name']}" for t in cls.catalog["tables"]}
        assert {"proj.messages", "connector.signal_record", "ingress.users", "sqitch.changes"} <= names, names

    @classmethod
    def read_catalog(cls):
        cls.catalog = json.loads("".join(row[0] for row in cls.stack.sql(CATALOG)))

    def attempt(self, role: str, statements: dict[str, str]) -> dict[str, str]:
        """The SQLSTATE of each statement, tried by that role in a connection of its own; KT000 where it did well."""
        done = subprocess.run(
            ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.stack.conninfo(role=role)],
            input=TRY.format(list=json.dumps(statements)), capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [line.partition("tried ")[2].split(" ", 1) for line in done.stderr.splitlines() if "tried " in line]
        states = {what: state for state, what in lines}
        self.assertEqual(states.keys(), statements.keys())
        return states

    def may(self, role: str, statements: dict[str, str]) -> set[str]:
        states = self.attempt(role, statements)
        return {what for what, state in states.items() if state != REFUSED and state not in IMPOSSIBLE}

    def test_tables(self):
        verbs = {
            "select": "SELECT * FROM {t} LIMIT 0", "insert": "INSERT INTO {t} ({c}) SELECT NULL WHERE false",
            "update": "UPDATE {t} SET {c} = NULL WHERE false", "delete": "DELETE FROM {t} WHERE false",
            "truncate": "TRUNCATE {t}", "drop": "DROP {kind} {t}", "alter": "ALTER {kind} {t} RENAME TO kentongan_try",
            "lock": "LOCK TABLE {t} IN ACCESS EXCLUSIVE MODE", "index": "CREATE INDEX ON {t} ({c})",
            "trigger": "CREATE TRIGGER x BEFORE INSERT ON {t} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "own": "ALTER {kind} {t} OWNER TO CURRENT_USER",
        }  # fmt: skip
        for role in ROLES:
            statements, allowed = {}, set()
            for table in self.catalog["tables"]:
                name, kind = f"{table['schema']}.{table['name']}", "VIEW" if table["is_view"] else "TABLE"
                for verb, text in verbs.items():
                    statements[f"{verb} {name}"] = text.format(t=name, c=table["columns"][-1], kind=kind)
                rights = INSTEAD.get((role, name), ALLOWED.get((role, table["schema"]), set()))
                # whoever may write a table may lock it; views can be read only
                allowed |= {f"lock {name}"} if "update" in rights else set()
                allowed |= {f"{verb} {name}" for verb in (rights & {"select"} if table["is_view"] else rights)}
            with self.subTest(role):
                got = self.may(role, statements)
                self.assertEqual(got - allowed, set(), f"{role} may do what it must not")
                self.assertEqual(allowed - got, set(), f"{role} may not do what it must")

    def test_columns(self):
        """Where a table is not readable as a whole, all its columns are but the hidden ones."""
        for (role, name), hidden in HIDDEN.items():
            schema, table = name.split(".")
            columns = [r[0] for r in self.stack.sql(
                f"select column_name from information_schema.columns where table_schema = '{schema}' and table_name = '{table}'")]
            self.assertLessEqual(hidden, set(columns))
            got = self.may(role, {column: f"SELECT {column} FROM {name} LIMIT 0" for column in columns})
            self.assertEqual(got, set(columns) - hidden)

    def test_schemas(self):
        for role in ROLES:
            verbs = {"make a table in": "CREATE TABLE {s}.kentongan_try (n int)", "drop": "DROP SCHEMA {s} CASCADE",
                     "rename": "ALTER SCHEMA {s} RENAME TO kentongan_try"}  # fmt: skip
            statements = {f"{verb} {s}": text.format(s=s) for s in self.catalog["schemas"] for verb, text in verbs.items()}
            with self.subTest(role):
                self.assertEqual(self.may(role, statements), set())

    def test_sequences(self):
        self.assertIn("ingress.session_id", self.catalog["sequences"])
        for role in ROLES:
            take = {name: f"SELECT nextval('{name}')" for name in self.catalog["sequences"]}
            turn = {name: f"SELECT setval('{name}', 1)" for name in self.catalog["sequences"]}
            own = {name for name in take if name.startswith(f"{SEQUENCES.get(role)}.")}
            with self.subTest(role):
                self.assertEqual(self.may(role, take), own)
                self.assertEqual(self.may(role, turn), set())

    def test_functions(self):
        self.assertTrue(self.catalog["functions"])
        for role in ROLES:
            calls = {f["name"]: f"SELECT {f['name']}({f['arguments'] or ''})" for f in self.catalog["functions"]}
            with self.subTest(role):
                self.assertEqual(self.may(role, calls), FUNCTIONS.get(role, set()))

    def test_the_same_after_a_rebuild_and_for_tables_of_later_migrations(self):
        done = self.attempt("tracker", {"build": "SELECT proj_tools.build()", "behind": "SELECT proj_tools.swap('t', 'n')"})
        self.assertEqual(done["build"], "KT000")
        swap = "begin; set local role tracker; select proj_tools.build(); select proj_tools.swap('tracker', 'next'); commit"
        self.assertEqual([row for row in self.stack.sql(swap) if row != [""]], [["t"]])
        self.stack.sql("; ".join(f"create table {s}.later (n int)" for s in ("proj", "connector")))
        self.read_catalog()
        self.assertIn("proj_old", self.catalog["schemas"])
        self.stack.sql("drop schema proj_old cascade")
        self.read_catalog()
        self.test_tables()
        self.test_columns()

    def test_rights_cannot_be_passed_on(self):
        acls = " union all ".join(
            f"select {acl}, {name} from {table}"
            for table, acl, name in (("pg_class", "relacl", "relname"), ("pg_namespace", "nspacl", "nspname"),
                                     ("pg_proc", "proacl", "proname"), ("pg_database", "datacl", "datname")))  # fmt: skip
        roles = ", ".join(f"'{role}'" for role in ROLES)
        found = self.stack.sql(f"select grantee::regrole, name from ({acls}) as all_acls (acl, name), aclexplode(acl) "
                               f"where is_grantable and grantee::regrole::text in ({roles})")  # fmt: skip
        self.assertEqual(found, [])
        attributes = "rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls"
        self.assertEqual(self.stack.sql(f"select rolname from pg_roles where ({attributes}) and rolname in ({roles})"), [])
        self.assertEqual(self.stack.sql(f"select member::regrole from pg_auth_members where member::regrole::text in ({roles})"), [])

    def test_what_nobody_may(self):
        for role in ROLES:
            others = {f"become {other}": f"SET ROLE {other}" for other in ROLES if other != role}
            with self.subTest(role):
                self.assertEqual(self.may(role, FORBIDDEN | others), set())


if __name__ == "__main__":
    unittest.main()
