//! Two network namespaces joined by a link. A test runs in the server's one as
//! a process of its own, and the command in the client's one.

use std::any::type_name;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::world::World;

/// Where the server and the client are, in networks that nobody else sees.
pub(crate) const SERVER: &str = "10.77.0.1";
pub(crate) const CLIENT: &str = "10.77.0.2";

/// Names the client's namespace to the process in the server's one.
const INSIDE: &str = "TOWLINE_TEST_CLIENT_NAMESPACE";

/// Of the names of namespaces; the process that made them follows.
const PREFIX: &str = "towline-test-";

/// Where iproute2 looks for what a namespace sees in `/etc`.
const FILES: &str = "/etc/netns";

/// Runs a test between two namespaces; says why where that is not possible.
pub(crate) fn between_namespaces<F: FnOnce(&mut World)>(test: F) {
    if let Ok(client) = std::env::var(INSIDE) {
        return test(&mut World::start(client));
    }
    let pair = match Pair::join() {
        Ok(pair) => pair,
        Err(why) => return eprintln!("skipped, for it takes root and iproute2: {why}"),
    };
    // `namespaces::the_test::{{closure}}`
    let name = type_name::<F>().split("::").nth(1).unwrap();
    let mut inside = Command::new(std::env::current_exe().unwrap());
    inside.args(["--exact", name, "--nocapture"]);
    inside.envs(std::env::vars_os()).env(INSIDE, &pair.client);
    let output = in_namespace(&pair.server, &inside)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    assert!(output.status.success(), "{}", output.status);
    assert!(said.contains("1 passed"), "no test of the name {name} ran");
}

/// The same command in a namespace, with its own variables and no others.
pub(crate) fn in_namespace(name: &str, command: &Command) -> Command {
    let mut inside = Command::new("ip");
    inside.args(["netns", "exec", name]);
    inside.arg(command.get_program()).args(command.get_args());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = command.get_envs();
    let own = own.filter_map(|(variable, value)| Some((variable, value?)));
    inside.env_clear().env("PATH", path).envs(own);
    inside.stdin(Stdio::null());
    inside
}

/// A command of iproute2, in words.
pub(crate) fn run(words: &str) -> Result<(), String> {
    let mut words = words.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    let Output { status, stderr, .. } = command
        .args(words)
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&stderr))),
    }
}

/// Two namespaces; gone when dropped, with the link and what was on it.
struct Pair {
    server: String,
    client: String,
}

impl Pair {
    fn join() -> Result<Self, String> {
        sweep();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (process, next) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let name = format!("{PREFIX}{process}-{next}");
        run(&format!("ip netns add {name}-server"))?;
        let pair = Self {
            server: format!("{name}-server"),
            client: format!("{name}-client"),
        };
        let Self { server, client } = &pair;
        run(&format!("ip netns add {client}"))?;
        run(&format!("ip netns exec {client} true"))?;
        run(&format!(
            "ip -n {server} link add eth0 type veth peer name eth0 netns {client}"
        ))?;
        for (namespace, address) in [(server, SERVER), (client, CLIENT)] {
            run(&format!("ip -n {namespace} addr add {address}/24 dev eth0"))?;
            run(&format!("ip -n {namespace} link set lo up"))?;
            run(&format!("ip -n {namespace} link set eth0 up"))?;
        }
        pair.set_name_server();
        Ok(pair)
    }

    /// Names are asked for at the server, and are unknown a second later.
    fn set_name_server(&self) {
        let dir = self.files();
        std::fs::create_dir_all(&dir).unwrap();
        let resolver = format!("nameserver {SERVER}\noptions timeout:1 attempts:1\n");
        std::fs::write(dir.join("resolv.conf"), resolver).unwrap();
        if Path::new("/etc/nsswitch.conf").exists() {
            std::fs::write(dir.join("nsswitch.conf"), "hosts: files dns\n").unwrap();
        }
    }

    /// What processes in the client's namespace see in `/etc`.
    fn files(&self) -> PathBuf {
        Path::new(FILES).join(&self.client)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.files());
        for namespace in [&self.client, &self.server] {
            let _ = run(&format!("ip netns del {namespace}"));
        }
    }
}

/// Removes what processes that were killed have left.
fn sweep() {
    let names = std::fs::read_dir("/run/netns").into_iter().flatten();
    for name in names.flatten().map(|entry| entry.file_name()) {
        let name = name.to_string_lossy();
        let process = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if process.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            let _ = std::fs::remove_dir_all(Path::new(FILES).join(&*name));
            let _ = run(&format!("ip netns del {name}"));
        }
    }
}
