//! Ceph's RADOS gateway on one monitor and one memory-backed OSD.

use std::fs::File;
use std::net::TcpStream;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{ForeignServer, free_ports, installed};

impl ForeignServer {
    /// Ceph RGW of Debian's packages, in memory; `TOWLINE_CEPH` says that they
    /// are there. It takes about ten seconds to come up.
    pub fn ceph() -> Self {
        installed("TOWLINE_CEPH");
        // One comes up at a time, so that none takes the ports of another.
        let name = format!("towline-ceph-{}.lock", rustix::process::getuid().as_raw());
        let turn = File::create(std::env::temp_dir().join(name)).unwrap();
        turn.lock().unwrap();
        // An OSD whose ports somebody else takes in the same moment never comes up.
        for osd_ports in ranges_of_ports().take(3) {
            let dir = tempfile::tempdir().unwrap();
            let [port, monitor] = free_ports();
            let mut cluster = Cluster {
                dir: dir.path().to_owned(),
                daemons: Vec::new(),
            };
            cluster.configure(port, monitor, osd_ports);
            let started = cluster.start(monitor).and_then(|()| {
                let daemons = std::mem::take(&mut cluster.daemons);
                Self::with_bucket(dir, port, daemons)
            });
            match started {
                Ok(server) => return server,
                Err(why) => eprintln!("Ceph does not come up: {why}"),
            }
        }
        panic!("Ceph does not come up, three times");
    }
}

/// A cluster that comes up; what it has started goes when a step fails.
struct Cluster {
    dir: PathBuf,
    daemons: Vec<Child>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        super::end(&mut self.daemons);
    }
}

impl Cluster {
    fn start(&mut self, monitor: u16) -> Result<(), String> {
        self.start_monitor(monitor)?;
        self.start_osd()?;
        self.start_gateway();
        Ok(())
    }

    fn configure(&self, port: u16, monitor: u16, osd_ports: Range<u16>) {
        for name in ["mon", "osd", "run", "log"] {
            std::fs::create_dir(self.dir.join(name)).unwrap();
        }
        let dir = self.dir.display();
        let Range {
            start: first,
            end: last,
        } = osd_ports;
        let id = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
        let config = format!(
            "[global]\n\
             fsid = {id}\
             mon_host = v1:127.0.0.1:{monitor}\n\
             auth_cluster_required = none\n\
             auth_service_required = none\n\
             auth_client_required = none\n\
             public_network = 127.0.0.0/8\n\
             cluster_network = 127.0.0.0/8\n\
             ms_bind_ipv6 = false\n\
             ms_bind_port_min = {first}\n\
             ms_bind_port_max = {last}\n\
             osd_pool_default_size = 1\n\
             osd_pool_default_min_size = 1\n\
             osd_pool_default_pg_num = 8\n\
             osd_pool_default_pgp_num = 8\n\
             mon_allow_pool_size_one = true\n\
             mon_max_pg_per_osd = 1000\n\
             mon_data_avail_warn = 1\n\
             mon_data_avail_crit = 1\n\
             osd_crush_chooseleaf_type = 0\n\
             osd_objectstore = memstore\n\
             memstore_device_bytes = 2147483648\n\
             run_dir = {dir}/run\n\
             admin_socket = {dir}/run/$name.asok\n\
             log_file = {dir}/log/$name.log\n\
             mon_data = {dir}/mon\n\
             osd_data = {dir}/osd\n\
             keyring = {dir}/keyring\n\
             [client.rgw]\n\
             rgw_frontends = beast endpoint=127.0.0.1:{port}\n\
             rgw_thread_pool_size = 64\n\
             rgw_crypt_require_ssl = false\n"
        );
        std::fs::write(self.dir.join("ceph.conf"), config).unwrap();
        let keyring = self.path("keyring");
        for (name, caps) in [
            ("mon.", &["mon", "allow *"][..]),
            ("client.admin", &["mon", "allow *", "osd", "allow *"]),
            ("client.rgw", &["mon", "allow rwx", "osd", "allow rwx"]),
            ("osd.0", &["mon", "allow *", "osd", "allow *"]),
        ] {
            let mut command = self.command("ceph-authtool");
            command.args([&keyring, "--gen-key", "-n", name]);
            if name == "mon." {
                command.arg("--create-keyring");
            }
            for cap in caps.chunks(2) {
                command.arg("--cap").args(cap);
            }
            run(command);
        }
    }

    fn start_monitor(&mut self, port: u16) -> Result<(), String> {
        let id = std::fs::read_to_string(self.dir.join("ceph.conf")).unwrap();
        let id = id.lines().find_map(|line| line.strip_prefix("fsid = "));
        let (map, keyring) = (self.path("monmap"), self.path("keyring"));
        let mut make = self.command("monmaptool");
        make.args(["--create", "--fsid", id.unwrap(), "--addv", "a"]);
        run(make.arg(format!("[v1:127.0.0.1:{port}]")).arg(&map));
        let mut make = self.command("ceph-mon");
        make.args(["--mkfs", "-i", "a", "--monmap", &map, "--keyring", &keyring]);
        run(make);
        self.daemon("ceph-mon", &["-f", "-i", "a"]);
        self.until("the monitor answers", |it| it.ceph(&["-s"]))
    }

    fn start_osd(&mut self) -> Result<(), String> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
        let id = id.trim();
        self.until("there is an OSD", |it| it.ceph(&["osd", "new", id]))?;
        let mut make = self.command("ceph-osd");
        run(make.args(["-i", "0", "--mkfs", "--osd-uuid", id]));
        let place = [
            "osd",
            "crush",
            "add",
            "osd.0",
            "1.0",
            "root=default",
            "host=test",
        ];
        self.until("it has a place", |it| it.ceph(&place))?;
        self.daemon("ceph-osd", &["-f", "-i", "0"]);
        self.until("it is up", |it| {
            let said = it.ceph(&["osd", "stat"])?;
            said.contains("1 up").then_some(()).ok_or(said)
        })
    }

    fn start_gateway(&mut self) {
        // First, since both would make the pools.
        let mut user = self.command("radosgw-admin");
        user.args(["-n", "client.rgw", "user", "create", "--uid=test"]);
        user.args([
            "--display-name=test",
            "--access-key=test",
            "--secret-key=testsecret",
        ]);
        run(user);
        self.daemon("radosgw", &["-f", "-n", "client.rgw"]);
    }

    fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("CEPH_CONF", self.dir.join("ceph.conf"));
        command.stdin(Stdio::null());
        command
    }

    /// What the cluster says to a command, or why it does not do it.
    fn ceph(&self, args: &[&str]) -> Result<String, String> {
        let mut command = self.command("ceph");
        command.args(["--connect-timeout", "5"]).args(args);
        let output = command.output().unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    fn daemon(&mut self, program: &str, args: &[&str]) {
        let log = File::create(self.dir.join("log").join(program)).unwrap();
        let mut command = self.command(program);
        command.args(args).stdout(Stdio::null()).stderr(log);
        self.daemons.push(command.spawn().unwrap());
    }

    fn until<T>(
        &self,
        what: &str,
        mut holds: impl FnMut(&Self) -> Result<T, String>,
    ) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(why) = holds(self) {
            if Instant::now() > deadline {
                return Err(format!("never: {what}: {why}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

/// Ports that nobody listens on. An OSD does not notice by itself: it shares
/// one that is taken.
fn ranges_of_ports() -> impl Iterator<Item = Range<u16>> {
    let is_free = |port| TcpStream::connect(("127.0.0.1", port)).is_err();
    let ranges = (10_000..30_000).step_by(32).map(|first| first..first + 31);
    ranges.filter(move |range| range.clone().all(is_free))
}

fn run(mut command: impl std::borrow::BorrowMut<Command>) {
    let command = command.borrow_mut();
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
