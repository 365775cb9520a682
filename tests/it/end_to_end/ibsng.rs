//! IBSng's clients: pyibsng from PyPI as it is, and what an XML-RPC client of Python sends.

use std::path::Path;

use crate::support::programs::{SECRET, program, run, skip};
use crate::support::server::{Database, Setup};

fn client(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/clients").join(name).display().to_string()
}

/// A server with an operator `system`, and a plan that gives 1,000 of credit, of which a KiB costs one.
fn setup(database: &Database) -> Setup {
    let setup = Setup::on(database.url()).variable("TOLLKEEPER_IBSNG__XMLRPC", "127.0.0.1:0");
    setup.write();
    setup.done(&["admin", "add", "system", "--rights", "read,write,secrets", "--password-stdin"], "sys");
    setup.done(&["plan", "add", "gold", "--credit", "1000", "--charge-per-kib", "1"], "");
    setup
}

#[test]
fn pyibsng_makes_changes_renews_and_reports() {
    let Some(python) =
        std::env::var_os("TOLLKEEPER_TEST_PYTHON").map(Into::into).or_else(|| program("python3", "python3"))
    else {
        return;
    };
    if !run(&python, &["-c", "import ibsng"], "").content {
        return skip("pyibsng is not installed (PyPI: pyibsng)");
    }
    let database = Database::sqlite();
    let server = setup(&database).start();
    let url = format!("http://{}", server.ibsng);
    let (auth, accounting) = (server.auth.to_string(), server.accounting.to_string());
    let said = run(&python, &[&client("pyibsng_client.py"), &url, "sys", &auth, &accounting, SECRET], "");
    assert!(said.content && said.line("pyibsng is content").is_some(), "{}", said.text);
    server.stop();
}

#[test]
fn an_xml_rpc_client_calls_the_same_methods() {
    let Some(python) = program("python3", "python3") else { return };
    let database = Database::sqlite();
    let server = setup(&database).start();
    let xmlrpc = server.xmlrpc.expect("its listener is open");
    let said = run(&python, &[&client("xmlrpc_client.py"), &format!("http://{xmlrpc}"), "sys"], "");
    assert!(said.content && said.line("XML-RPC is content").is_some(), "{}", said.text);
    server.stop();
}
