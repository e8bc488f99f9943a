//! The running server against its own OpenAPI document, by requests that a
//! tester draws from it: schemathesis, where `TOWLINE_SCHEMATHESIS` names it.

use std::process::Command;

use crate::served::Served;

/// Of each operation, beyond those that cover its parameters one by one.
const EXAMPLES: &str = "10";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_is_what_the_document_says() {
    let Some(tester) = std::env::var_os("TOWLINE_SCHEMATHESIS") else {
        eprintln!("left out: TOWLINE_SCHEMATHESIS does not name the tester");
        return;
    };
    let served = Served::with(|service, dir| {
        std::fs::create_dir(dir.join("data")).unwrap();
        service.roots = vec![dir.join("data")];
    })
    .await;
    let id = served
        .utility
        .upload("bucket", "key", served.path(".aws/config"))
        .await
        .unwrap();
    served.until(id.id().get(), "completed").await;
    let mut run = Command::new(tester);
    run.current_dir(served.dir.path());
    run.arg("run")
        .arg(format!("http://{}/v1/openapi.json", served.http.host()));
    run.arg("-H")
        .arg(format!("Authorization: Bearer {}", served.http.token));
    run.args(["--phases", "examples,coverage,fuzzing"]);
    run.args(["--max-examples", EXAMPLES, "--generation-deterministic"]);
    run.args(["--no-shrink", "--no-color"]);
    run.args(["--generation-with-security-parameters", "false"]);
    // The first is a stream without an end.
    run.args(["--exclude-path", "/v1/events"]);
    let checks = [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "ignored_auth",
    ];
    run.args(["--checks", &checks.join(",")]);
    let output = tokio::task::spawn_blocking(move || run.output().unwrap());
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    println!("{said}");
    assert!(output.status.success(), "{said}{complained}");
    // It did its work, and did not stop at the door.
    let operations = "Selected: 26/27";
    assert!(said.contains(operations), "{operations} is not in {said}");
}
