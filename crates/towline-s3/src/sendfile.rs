//! Bytes of a file that `sendfile` sends: they go from the kernel's memory to the socket,
//! and are not copied to this process.
//!
//! hyper wants a body in memory. Bytes of a file come to it as a slice of memory that nobody
//! ever looks at, and that takes none therefore: its address tells the connection which bytes
//! of which file to send instead.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;

use crate::wire::Wire;

/// The most bytes that one slice stands for.
const MOST: usize = 256 << 10;
/// So many slices there are at one time, at most: what forty connections hold.
const PLACES: usize = 128;

static MEMORY: OnceLock<Memory> = OnceLock::new();

/// Memory that only has addresses.
struct Memory {
    untouched: Box<[u8]>,
    places: Mutex<Places>,
}

struct Places {
    free: Vec<usize>,
    /// What each stands for.
    taken: Vec<Option<Start>>,
}

/// Where the bytes of a place begin.
#[derive(Clone)]
struct Start(Arc<File>, u64);

/// Some bytes of a file.
pub(crate) struct InFile {
    file: Arc<File>,
    at: u64,
    len: usize,
}

/// Why none of them were sent.
pub(crate) enum NotSent {
    /// They could not be read.
    File(io::Error),
    Wire(io::Error),
}

/// Bytes that stand for a range of a file, for a body of this client: nobody else may look
/// at them. `None` where there would be too many: then it has to be read.
pub(crate) fn unread(file: &Arc<File>, range: Range<u64>) -> Option<Bytes> {
    let len = usize::try_from(range.end - range.start).ok()?;
    if len > MOST || cfg!(not(target_os = "linux")) {
        return None;
    }
    let memory = MEMORY.get_or_init(Memory::new);
    let place = memory.take(Start(Arc::clone(file), range.start))?;
    Some(Bytes::from_owner(Lent { memory, place, len }))
}

/// What a slice stands for; `None` if it has bytes of its own.
pub(crate) fn in_file(slice: &[u8]) -> Option<InFile> {
    let memory = MEMORY.get()?;
    let (place, from) = memory.place(slice)?;
    let Start(file, at) = memory.places().taken[place].clone()?;
    Some(InFile {
        file,
        at: at + from as u64,
        len: slice.len(),
    })
}

/// Whether a slice has bytes of its own.
pub(crate) fn is_read(slice: &[u8]) -> bool {
    MEMORY
        .get()
        .and_then(|memory| memory.place(slice))
        .is_none()
}

impl Memory {
    fn new() -> Self {
        Self {
            untouched: vec![0; MOST * PLACES].into_boxed_slice(),
            places: Mutex::new(Places {
                free: (0..PLACES).collect(),
                taken: vec![None; PLACES],
            }),
        }
    }

    /// Which place a slice is of, and from which of its bytes on.
    fn place(&self, slice: &[u8]) -> Option<(usize, usize)> {
        let begin = self.untouched.as_ptr().addr();
        let offset = slice.as_ptr().addr().checked_sub(begin)?;
        let is_of_it = offset < self.untouched.len() && !slice.is_empty();
        is_of_it.then_some((offset / MOST, offset % MOST))
    }

    fn take(&self, start: Start) -> Option<usize> {
        let mut places = self.places();
        let place = places.free.pop()?;
        places.taken[place] = Some(start);
        Some(place)
    }

    fn give_back(&self, place: usize) {
        let mut places = self.places();
        places.taken[place] = None;
        places.free.push(place);
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place, until it is given back.
struct Lent {
    memory: &'static Memory,
    place: usize,
    len: usize,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.memory.untouched[self.place * MOST..][..self.len]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.memory.give_back(self.place);
    }
}

impl Wire {
    /// Sends some of these bytes: how many.
    pub(crate) fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &InFile,
    ) -> Poll<Result<usize, NotSent>> {
        if let Self::Plain(tcp) = self
            && let Ok(sent @ 1..) = ready!(poll_sendfile(tcp, cx, bytes))
        {
            return Poll::Ready(Ok(sent));
        }
        // It is TLS, the file has become shorter, its file system has no such thing, or the
        // connection is gone: to read and to write tells which.
        let mut read = vec![0; bytes.len];
        if let Err(error) = bytes.file.read_exact_at(&mut read, bytes.at) {
            return Poll::Ready(Err(NotSent::File(error)));
        }
        Pin::new(self).poll_write(cx, &read).map_err(NotSent::Wire)
    }
}

fn poll_sendfile(tcp: &TcpStream, cx: &mut Context<'_>, bytes: &InFile) -> Poll<io::Result<usize>> {
    loop {
        ready!(tcp.poll_write_ready(cx))?;
        match tcp.try_io(Interest::WRITABLE, || sendfile(tcp, bytes)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            sent => return Poll::Ready(sent),
        }
    }
}

#[cfg(target_os = "linux")]
fn sendfile(tcp: &TcpStream, bytes: &InFile) -> io::Result<usize> {
    let mut at = bytes.at;
    Ok(rustix::fs::sendfile(
        tcp,
        &*bytes.file,
        Some(&mut at),
        bytes.len,
    )?)
}

#[cfg(not(target_os = "linux"))]
fn sendfile(_: &TcpStream, _: &InFile) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::IoSlice;
    use std::path::PathBuf;

    use hyper::rt::Write;
    use rcgen::{CertificateParams, KeyPair};
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;
    use crate::wire::Conn;

    struct Source {
        file: Arc<File>,
        bytes: Vec<u8>,
        path: PathBuf,
    }

    impl Source {
        fn new(name: &str, len: usize) -> Self {
            let name = format!("towline-sendfile-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            std::fs::write(&path, &bytes).unwrap();
            let file = Arc::new(File::open(&path).unwrap());
            Self { file, bytes, path }
        }
    }

    impl Drop for Source {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// Both ends of a connection.
    async fn tcp() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap());
        let (ours, theirs) = tokio::join!(ours, listener.accept());
        (ours.unwrap(), theirs.unwrap().0)
    }

    /// Who trusts whom.
    fn tls() -> (TlsConnector, TlsAcceptor) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let cert = params.self_signed(&key).unwrap().der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(cert.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let key = key.serialize_der().try_into().unwrap();
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert], key)
            .unwrap();
        (Arc::new(client).into(), Arc::new(server).into())
    }

    fn conn(wire: Wire) -> Conn {
        Conn::new(wire, false, &Arc::default())
    }

    /// Writes all of these, as hyper does.
    async fn write(conn: &mut Conn, mut bodies: Vec<Bytes>) -> io::Result<()> {
        while !bodies.is_empty() {
            let slices: Vec<IoSlice<'_>> = bodies.iter().map(|body| IoSlice::new(body)).collect();
            let writing =
                |cx: &mut Context<'_>| Pin::new(&mut *conn).poll_write_vectored(cx, &slices);
            let mut written = poll_fn(writing).await?;
            assert!(written > 0);
            while let Some(first) = bodies.first_mut()
                && written >= first.len()
            {
                written -= first.len();
                bodies.remove(0);
            }
            if let Some(first) = bodies.first_mut() {
                drop(first.split_to(written));
            }
        }
        Ok(())
    }

    #[test]
    fn a_slice_stands_for_the_same_slice_of_the_file() {
        let source = Source::new("slices", 100);
        let bytes = unread(&source.file, 10..90).unwrap();
        assert_eq!(bytes.len(), 80);
        let found = in_file(&bytes.slice(3..5)).unwrap();
        assert!(Arc::ptr_eq(&found.file, &source.file));
        assert_eq!((found.at, found.len), (13, 2));
        assert!(!is_read(&bytes));
        for ordinary in [&b"ordinary"[..], &[]] {
            assert!(is_read(ordinary) && in_file(ordinary).is_none());
        }
    }

    #[test]
    fn there_are_only_so_many_and_each_comes_back_with_its_last_slice() {
        let source = Source::new("places", 1);
        assert!(unread(&source.file, 0..MOST as u64 + 1).is_none());
        let take = || std::iter::from_fn(|| unread(&source.file, 0..1)).collect::<Vec<_>>();
        let mut all = take();
        assert!(!all.is_empty() && all.len() <= PLACES);
        let slice = all.pop().unwrap().slice(..1);
        assert!(
            unread(&source.file, 0..1).is_none(),
            "a slice is left of it"
        );
        let at = slice.as_ptr();
        drop(slice);
        assert_eq!(unread(&source.file, 0..1).unwrap().as_ptr(), at);
        let there_were = all.len();
        drop(all);
        assert!(take().len() >= there_were);
    }

    /// Some of a file and some not, and what arrives of them.
    fn mixed(source: &Source) -> (Vec<Bytes>, Vec<u8>) {
        let range = |from: usize, to: usize| unread(&source.file, from as u64..to as u64).unwrap();
        let bodies = vec![
            Bytes::from_static(b"head"),
            range(7, 7 + MOST),
            range(0, 1),
            Bytes::from_static(b"between"),
            Bytes::from_static(b"two"),
            range(2 * MOST, 3 * MOST),
            range(3 * MOST, 4 * MOST).slice(5..MOST - 5),
            Bytes::from_static(b"end"),
        ];
        let arrive = [
            b"head",
            &source.bytes[7..7 + MOST],
            &source.bytes[..1],
            b"between",
            b"two",
            &source.bytes[2 * MOST..3 * MOST],
            &source.bytes[3 * MOST + 5..4 * MOST - 5],
            b"end",
        ];
        (bodies, arrive.concat())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn bytes_of_a_file_and_others_arrive_in_their_order() {
        let source = Source::new("order", 4 * MOST);
        let (bodies, expected) = mixed(&source);
        let (ours, mut theirs) = tcp().await;
        let mut received = vec![0; expected.len()];
        let mut ours = conn(Wire::Plain(ours));
        let sending = write(&mut ours, bodies);
        let (sent, read) = tokio::join!(sending, theirs.read_exact(&mut received));
        sent.unwrap();
        read.unwrap();
        assert!(received == expected);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn where_tls_turns_out_to_be_in_between_they_are_read() {
        let source = Source::new("tls", 4 * MOST);
        let (bodies, expected) = mixed(&source);
        let (ours, theirs) = tcp().await;
        let (client, server) = tls();
        let name = "localhost".try_into().unwrap();
        let connecting = client.connect(name, Wire::Plain(ours));
        let (ours, theirs) = tokio::join!(connecting, server.accept(theirs));
        let (mut ours, mut theirs) = (conn(Wire::Tls(Box::new(ours.unwrap()))), theirs.unwrap());
        let mut received = vec![0; expected.len()];
        let sending = async {
            write(&mut ours, bodies).await?;
            poll_fn(|cx| Pin::new(&mut ours).poll_flush(cx)).await
        };
        let (sent, read) = tokio::join!(sending, theirs.read_exact(&mut received));
        sent.unwrap();
        read.unwrap();
        assert!(received == expected);
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_ends_the_connection_at_once() {
        let source = Source::new("shorter", 100);
        let (ours, _theirs) = tcp().await;
        let bytes = unread(&source.file, 50..100).unwrap();
        std::fs::write(&source.path, b"short").unwrap();
        let sent = write(&mut conn(Wire::Plain(ours)), vec![bytes]).await;
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_connection_that_is_gone_is_for_the_wire() {
        let source = Source::new("gone", MOST);
        let (ours, theirs) = tcp().await;
        theirs.set_zero_linger().unwrap();
        drop(theirs);
        let mut wire = Wire::Plain(ours);
        let bytes = in_file(&unread(&source.file, 0..MOST as u64).unwrap()).unwrap();
        let failure = loop {
            if let Err(failure) = poll_fn(|cx| wire.poll_send_file(cx, &bytes)).await {
                break failure;
            }
        };
        assert!(matches!(failure, NotSent::Wire(_)));
    }
}
