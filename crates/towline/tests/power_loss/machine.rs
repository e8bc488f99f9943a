//! A machine with a disk of its own, which can be started again: every boot has
//! another id, as the kernel tells it.

use std::any::type_name;
use std::future::Future;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use towline_testkit::disk::{Disk, Health, Tree};
use towline_testkit::small_disk::succeeds;
use towline_testserver::{Snapshot, TestServer};

use crate::BUCKET;

/// Where the kernel tells the id of this boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Names the file that stands there, to the process that sees it.
const INSIDE: &str = "TOWLINE_TEST_BOOT_ID";

/// The disk, and the S3 that it talks to.
pub(crate) struct Machine {
    pub(crate) disk: Disk,
    pub(crate) server: Arc<TestServer>,
    /// S3 with an empty bucket.
    pub(crate) empty: Snapshot,
    boot_id: PathBuf,
}

/// Runs a test as a process that sees a boot id of its own, on such a machine.
pub(crate) fn on_a_machine<F, T>(test: F)
where
    F: FnOnce(Machine) -> T,
    T: Future<Output = ()>,
{
    if let Some(boot_id) = std::env::var_os(INSIDE) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let Some(disk) = Disk::mount(Health::default()) else {
                return;
            };
            let server = TestServer::builder().bucket(BUCKET).start().await.unwrap();
            let machine = Machine {
                disk,
                empty: server.snapshot().unwrap(),
                server: Arc::new(server),
                boot_id: boot_id.into(),
            };
            machine.boot();
            test(machine).await;
        });
        return;
    }
    let boot_id = tempfile::NamedTempFile::new().unwrap();
    let inside = |program: &mut Command| {
        let script = format!("mount --bind \"$0\" {BOOT_ID} && exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
        command.arg(boot_id.path()).arg(program.get_program());
        command.args(program.get_args());
        command
    };
    if !succeeds(&mut inside(&mut Command::new("true"))) {
        return;
    }
    // `power_loss::module::the_test::{{closure}}`
    let name = type_name::<F>().trim_end_matches("::{{closure}}");
    let name = name.split_once("::").unwrap().1;
    let mut this = Command::new(std::env::current_exe().unwrap());
    this.args(["--exact", name, "--nocapture"]);
    let output = inside(&mut this)
        .env(INSIDE, boot_id.path())
        .stderr(std::process::Stdio::inherit())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    assert!(output.status.success(), "{}", output.status);
    assert!(said.contains("1 passed"), "no test of the name {name} ran");
}

impl Machine {
    /// Another boot.
    fn boot(&self) {
        let (a, b) = (fastrand::u64(..), fastrand::u64(..));
        std::fs::write(&self.boot_id, format!("{a:016x}-{b:016x}\n")).unwrap();
    }

    /// Starts again with another content of the disk and of S3.
    pub(crate) fn reboot(&self, disk: Tree, s3: &Snapshot) {
        self.boot();
        self.disk.become_image(disk);
        self.be_at(s3);
    }

    /// S3 holds this, and its history begins anew.
    pub(crate) fn be_at(&self, s3: &Snapshot) {
        self.server.restore(s3);
        self.server.history().clear();
    }

    /// The directory of the state, which is deep and not there at first.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.disk.path("home/app/state")
    }
}
