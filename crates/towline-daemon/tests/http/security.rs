//! The threats of `docs/security.md` that are not in the sweep of all routes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::json;
use towline_daemon::{ADDRESS, Client, LoginCodeRequest, SOCKET, TOKEN};

use crate::served::{BUCKET, LONG, Served};

/// Whether the other end has closed, within a time that is long.
fn is_closed(stream: &mut TcpStream) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    stream.set_read_timeout(Some(LONG)).unwrap();
    let read = stream.read_to_end(&mut Vec::new());
    !matches!(read, Err(error) if matches!(error.kind(), TimedOut | WouldBlock))
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_only_this_machine_reaches_it() {
    let served = Served::start().await;
    assert!(served.http.address.ip().is_loopback());
    // The address by which others reach this machine, if there is one.
    let outside = UdpSocket::bind("0.0.0.0:0").unwrap();
    if outside.connect("192.0.2.1:9").is_ok() {
        let mut address = served.http.address;
        address.set_ip(outside.local_addr().unwrap().ip());
        if !address.ip().is_loopback() {
            TcpStream::connect(address).unwrap_err();
        }
    }
    let dir = served.path("elsewhere");
    for wide in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let mut service = towline_daemon::Service::new(towline_daemon::Mode::Background);
        service.listen = Some(wide.parse().unwrap());
        std::fs::create_dir_all(&dir).unwrap();
        let utility = served.utility.clone();
        let refused = towline_daemon::Server::start_with(utility, &dir, &service).unwrap_err();
        assert!(refused.to_string().contains("other machines"), "{refused}");
        assert!(!dir.join(SOCKET).exists(), "{wide}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn s4_another_user_reaches_neither_token_nor_socket_nor_page() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        eprintln!("left out: only root can be another user");
        return;
    }
    let served = Served::start().await;
    let stranger = |program: &str, args: &[&str]| {
        let mut command = std::process::Command::new(program);
        let out = command.args(args).uid(65534).gid(65534).output().unwrap();
        let text = [out.stdout, out.stderr].concat();
        (
            out.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    };
    let token = served.path(&format!("state/{TOKEN}"));
    let token = token.to_str().unwrap();
    assert!(!stranger("cat", &[token]).0);
    // Even where directory and socket were opened to all, the peer is looked at.
    let open = |path: &str, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(served.path(path), mode).unwrap();
    };
    open("", 0o755);
    open("state", 0o755);
    open("state/towline.sock", 0o666);
    assert!(!stranger("cat", &[token]).0);
    let socket = served.path("state/towline.sock");
    let ask = "import socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(60); s.connect(sys.argv[1])
try:
    s.sendall(b'GET /v1/about HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); print(s.recv(99))
except OSError: print('refused')";
    let (_, said) = stranger("python3", &["-c", ask, socket.to_str().unwrap()]);
    assert!(["b''\n", "refused\n"].contains(&said.as_str()), "{said}");
    // A code that was seen in a list of processes is of no use to them.
    let (client, _) = Client::connect(&served.path("state")).await.unwrap();
    let login = "import urllib.request, sys
r = urllib.request.Request(sys.argv[1], ('{\"code\":\"%s\"}' % sys.argv[2]).encode(),
                           {'content-type': 'application/json'})
print(urllib.request.urlopen(r).read())";
    let url = format!("http://{}/v1/login", served.http.host());
    for own_user in [true, false] {
        let code = client
            .login_code(&LoginCodeRequest { own_user })
            .await
            .unwrap();
        let (given, said) = stranger("python3", &["-c", login, &url, &code.code]);
        assert_eq!(given, !own_user, "{said}");
        assert_eq!(said.contains(&served.http.token), !own_user, "{said}");
        // Their attempt did not use it up.
        let own = served.http.post("/v1/login", &json!({ "code": code.code }));
        assert_eq!(own.status == 200, own_user);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_a_client_asks_the_socket_and_gives_nothing_to_who_took_the_port() {
    let served = Served::start().await;
    let thief = TcpListener::bind("127.0.0.1:0").unwrap();
    thief.set_nonblocking(true).unwrap();
    let address = format!("http://{}\n", thief.local_addr().unwrap());
    std::fs::write(served.path("state").join(ADDRESS), address).unwrap();
    let (client, _) = Client::connect(&served.path("state")).await.unwrap();
    client.find(&towline_daemon::Find::default()).await.unwrap();
    let code = client
        .login_code(&LoginCodeRequest::default())
        .await
        .unwrap();
    assert!(code.url.contains(&served.http.host()), "{}", code.url);
    assert_eq!(
        thief.accept().unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_a_browser_logs_in_with_a_code_in_the_fragment_once() {
    let served = Served::start().await;
    let (client, _) = Client::connect(&served.path("state")).await.unwrap();
    let code = client
        .login_code(&LoginCodeRequest::default())
        .await
        .unwrap();
    let (page, fragment) = code.url.split_once('#').unwrap();
    assert_eq!(page, format!("http://{}/", served.http.host()));
    assert_eq!(fragment, format!("code={}", code.code));
    assert!(!code.url.contains(&served.http.token));
    let login = || {
        let body = json!({ "code": code.code }).to_string();
        served.http.with(
            "POST",
            "/v1/login",
            &[("Authorization", "")],
            body.as_bytes(),
        )
    };
    assert_eq!(login().json(), json!({ "token": served.http.token }));
    assert_eq!(login().code(), "BadCode");
    // In an address the token opens nothing.
    for path in [
        "/v1/about?token=",
        "/v1/about?access_token=",
        "/v1/events?token=",
    ] {
        let path = format!("{path}{}", served.http.token);
        let answer = served
            .http
            .with("GET", &path, &[("Authorization", "")], b"");
        assert_eq!(answer.status, 401, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s13_over_tcp_a_connection_is_a_profile_by_name_and_s24_no_endpoint() {
    let served = Served::start().await;
    let metadata = "http://169.254.169.254/";
    for connection in [
        json!({ "source": { "profile": "one" }, "endpoint": metadata }),
        json!({ "endpoint": metadata }),
        json!({ "source": "environment" }),
        json!({ "source": "anonymous" }),
        json!({ "source": { "registered": "test" } }),
        json!({ "source": { "profile": "one" }, "signed_payload": false }),
        json!({}),
    ] {
        let mut request = served.upload("a", 10);
        request["connection"] = connection.clone();
        let refused = served.submit(&[request]);
        assert_eq!(refused.code(), "ProfilesOnly", "{connection}");
    }
    let mut unknown = served.upload("a", 10);
    unknown["connection"] = json!({ "source": { "profile": "credential_process=id" } });
    assert_eq!(served.submit(&[unknown]).code(), "UnknownProfile");
    let credentials = json!({ "access_key_id": "a", "secret_access_key": "b" });
    let body = json!({ "requests": [served.upload("a", 10)], "credentials": credentials });
    assert_eq!(
        served.http.post("/v1/transfers", &body).code(),
        "SocketOnly"
    );
    let body = json!({ "ids": [1], "credentials": credentials });
    assert_eq!(
        served.http.post("/v1/transfers/resume", &body).code(),
        "SocketOnly"
    );
    for key in [
        json!({ "file": "/etc/shadow" }),
        json!({ "environment": "HOME" }),
    ] {
        let mut request = served.upload("a", 10);
        request["options"] = json!({ "access": { "customer_key": key } });
        assert_eq!(served.submit(&[request]).code(), "SocketOnly");
    }
    assert_eq!(
        served.http.get("/v1/transfers").json()["transfers"],
        json!([])
    );
    assert_eq!(served.s3.history().bytes_received(), 0);
    served.submit_one(served.upload("fine", 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn s13_over_tcp_files_are_within_the_roots_and_never_the_services_own() {
    let served = Served::with(|service, dir| {
        std::fs::create_dir(dir.join("open")).unwrap();
        service.roots = vec![dir.join("open")];
    })
    .await;
    let refused = |path: &std::path::Path, kind: &str| {
        let path = path.to_str().unwrap();
        let request = json!({ "type": kind, "bucket": BUCKET, "key": "k", "path": path });
        served.submit(&[request]).code()
    };
    std::os::unix::fs::symlink(served.path("state"), served.path("open/link")).unwrap();
    std::fs::write(served.path("private"), "x").unwrap();
    for outside in [
        "private",
        "open/../private",
        "open/link/token",
        "state/token",
    ] {
        for kind in ["upload", "download"] {
            assert_eq!(
                refused(&served.path(outside), kind),
                "OutsideRoots",
                "{outside}"
            );
        }
    }
    assert_eq!(
        refused(&served.path("state/spool/x"), "download"),
        "OutsideRoots"
    );
    std::fs::write(served.path("open/file"), "x").unwrap();
    let path = served.path("open/file");
    let id = served.submit_one(json!({
        "type": "upload", "bucket": BUCKET, "key": "k", "path": path,
    }));
    served.until(id, "completed").await;
    // Without roots the service's own files are still not for others.
    let anywhere = Served::start().await;
    for own in ["state/token", "state/towline.db", "state/new"] {
        let request = json!({
            "type": "upload", "bucket": BUCKET, "key": "k", "path": anywhere.path(own),
        });
        assert_eq!(anywhere.submit(&[request]).code(), "OutsideRoots", "{own}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s14_who_dawdles_over_a_request_is_cut_and_others_are_served_again() {
    let served = Served::start().await;
    let dawdle = |n: usize| {
        let mut stream = TcpStream::connect(served.http.address).unwrap();
        let begin: &[u8] = match n % 3 {
            0 => b"",
            1 => b"GET / HTTP/1.1\r\nHost: ",
            _ => b"GET /",
        };
        stream.write_all(begin).unwrap();
        stream
    };
    let mut slow: Vec<_> = (0..64).map(dawdle).collect();
    // One more finds no place, and is told so at once.
    let begun = Instant::now();
    loop {
        let mut more = dawdle(1);
        more.set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        match more.read(&mut [0; 1]) {
            Ok(0) => break,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            // It got the place of one that was too many before.
            _ => slow.push(more),
        }
        assert!(slow.len() < 128, "it was let in");
    }
    assert!(slow.iter_mut().all(is_closed));
    assert!(begun.elapsed() < LONG);
    assert_eq!(served.http.get("/v1/about").status, 200);
    // A body that does not come, and a head without an end.
    let head = format!(
        "POST /v1/transfers HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{{",
        served.http.host(),
        served.http.token
    );
    assert_eq!(served.http.raw(head.as_bytes()).code(), "TooSlow");
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(1 << 20));
    assert!([414, 431].contains(&served.http.raw(long.as_bytes()).status));
}

#[tokio::test(flavor = "multi_thread")]
async fn s14_thousands_of_connections_leave_the_service_as_it_was() {
    let served = Served::start().await;
    let open = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let before = open();
    for _ in 0..5_000 {
        drop(TcpStream::connect(served.http.address).unwrap());
    }
    let begun = Instant::now();
    while open() > before + 70 {
        assert!(begun.elapsed() < LONG, "{} files are open", open());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    loop {
        let mut stream = TcpStream::connect(served.http.address).unwrap();
        let ask = format!(
            "GET /v1/alive HTTP/1.1\r\nHost: {}\r\n\r\n",
            served.http.host()
        );
        stream.write_all(ask.as_bytes()).unwrap();
        let mut answer = [0; 12];
        if stream.read_exact(&mut answer).is_ok() {
            assert_eq!(&answer, b"HTTP/1.1 200");
            break;
        }
        assert!(begun.elapsed() < LONG, "nobody is served any more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s23_every_file_is_of_this_user_alone_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    rustix::process::umask(rustix::fs::Mode::empty());
    let served = Served::start().await;
    assert_eq!(served.http.ask("PUT", "/v1/spool?name=a", b"x").status, 200);
    let mut looked_at = 0;
    let mut dirs = vec![served.path("state")];
    while let Some(dir) = dirs.pop() {
        let mode = |path: &std::path::Path| {
            std::fs::symlink_metadata(path)
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(mode(&dir), 0o700, "{}", dir.display());
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            looked_at += 1;
            match path.is_dir() {
                true => dirs.push(path),
                false => assert_eq!(mode(&path), 0o600, "{}", path.display()),
            }
        }
    }
    assert!(looked_at >= 7, "{looked_at}");
}
