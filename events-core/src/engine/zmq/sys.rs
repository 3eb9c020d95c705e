//! Calls libzmq and the system: every `unsafe` block of this crate, and nothing that decides anything.
//!
//! Sockets belong to the crate `zmq`, which closes them, polls them and makes keys. What it lacks goes to
//! `zmq-sys`, the layer below it: two options of the context, several of sockets, messages that share their
//! bytes, and binding and connecting, since `zmq` panics on an error number that it does not know, which a
//! bad address can produce.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_int, c_void};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use zmq_sys as z;

use crate::process::keep_free_memory;

/// `ZMQ_ZAP_ENFORCE_DOMAIN`, which `zmq-sys` (made from 4.3.1) does not name.
pub(super) const ZAP_ENFORCE_DOMAIN: u32 = 93;
/// `ZMQ_IPC_FILTER_UID`, which `zmq-sys` does not pass on.
pub(super) const IPC_FILTER_UID: u32 = 59;
/// `ZMQ_ZERO_COPY_RECV`, an option of the context.
const ZERO_COPY_RECV: u32 = 10;

/// A libzmq context. Ends when the last clone and the last socket are gone.
#[derive(Clone)]
pub(super) struct Context(Arc<RawContext>);

struct RawContext(*mut c_void);

// SAFETY: a context is the one thing of libzmq that is documented as thread-safe.
unsafe impl Send for RawContext {}
// SAFETY: as above.
unsafe impl Sync for RawContext {}

impl Context {
    pub(super) fn new() -> io::Result<Context> {
        keep_free_memory();
        // SAFETY: takes nothing; null is checked.
        let raw = unsafe { z::zmq_ctx_new() };
        if raw.is_null() {
            return Err(last_error());
        }
        let context = Context(Arc::new(RawContext(raw)));
        context.set(z::ZMQ_IO_THREADS, 1)?;
        context.set(z::ZMQ_MAX_SOCKETS, 16_384)?;
        // Otherwise a kept message of 100 bytes pins the whole receive buffer it came in, about 18 KiB,
        // and a window that counts bytes of messages would bound nothing.
        context.set(ZERO_COPY_RECV, 0)?;
        Ok(context)
    }

    fn set(&self, option: u32, value: c_int) -> io::Result<()> {
        // SAFETY: the context lives as long as `self`.
        check(unsafe { z::zmq_ctx_set(self.0.0, option as c_int, value) })
    }

    pub(super) fn socket(&self, kind: u32) -> io::Result<Socket> {
        // SAFETY: the context lives as long as `self`; null is checked.
        let raw = unsafe { z::zmq_socket(self.0.0, kind as c_int) };
        if raw.is_null() {
            return Err(last_error());
        }
        // SAFETY: the socket is open, and nobody else owns it or closes it.
        let socket = unsafe { zmq::Socket::from_raw(raw) };
        Ok(Socket { socket, raw, _context: self.clone() })
    }
}

impl Drop for RawContext {
    fn drop(&mut self) {
        // SAFETY: every socket holds a clone, so none is open any more and this does not wait for one.
        while unsafe { z::zmq_ctx_term(self.0) } == -1 && errno() == libc::EINTR {}
    }
}

/// A libzmq socket: owned by one thread at a time.
pub(super) struct Socket {
    socket: zmq::Socket,
    /// The same socket as libzmq knows it, which `zmq` gives out only for `&mut`.
    raw: *mut c_void,
    // Keeps the context from ending before the socket; dropped after it.
    _context: Context,
}

// SAFETY: libzmq allows a socket to migrate between threads behind a full fence, which every way of
// handing a value to another thread in Rust has. It is not `Sync`.
unsafe impl Send for Socket {}

impl Socket {
    pub(super) fn set_int(&self, option: u32, value: i32) -> io::Result<()> {
        self.set_bytes(option, &value.to_ne_bytes())
    }

    pub(super) fn set_i64(&self, option: u32, value: i64) -> io::Result<()> {
        self.set_bytes(option, &value.to_ne_bytes())
    }

    pub(super) fn set_bytes(&self, option: u32, value: &[u8]) -> io::Result<()> {
        // SAFETY: pointer and length are of one slice, which libzmq only reads.
        check(unsafe { z::zmq_setsockopt(self.raw, option as c_int, value.as_ptr().cast(), value.len()) })
    }

    /// The address last bound, as it was resolved.
    pub(super) fn last_endpoint(&self) -> io::Result<String> {
        let endpoint = self.socket.get_last_endpoint()?;
        Ok(endpoint.unwrap_or_else(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    pub(super) fn bind(&self, address: &str) -> io::Result<()> {
        let address = CString::new(address)?;
        // SAFETY: a string that ends in NUL and outlives the call.
        check(unsafe { z::zmq_bind(self.raw, address.as_ptr()) })
    }

    pub(super) fn unbind(&self, address: &str) -> io::Result<()> {
        let address = CString::new(address)?;
        // SAFETY: as in `bind`.
        check(unsafe { z::zmq_unbind(self.raw, address.as_ptr()) })
    }

    pub(super) fn connect(&self, address: &str) -> io::Result<()> {
        let address = CString::new(address)?;
        // SAFETY: as in `bind`.
        check(unsafe { z::zmq_connect(self.raw, address.as_ptr()) })
    }

    /// Sends what happens to this socket's connections to the inproc address `to`.
    pub(super) fn monitor(&self, to: &str, events: u32) -> io::Result<()> {
        let to = CString::new(to)?;
        // SAFETY: as in `bind`.
        check(unsafe { z::zmq_socket_monitor(self.raw, to.as_ptr(), events as c_int) })
    }

    /// Takes [`monitor`](Socket::monitor) back: when this returns no event is being sent any more.
    pub(super) fn unmonitor(&self) {
        // SAFETY: null as the address is how libzmq is told to stop.
        unsafe { z::zmq_socket_monitor(self.raw, std::ptr::null(), 0) };
    }

    /// Sends one part. `Ok(false)`: there was no room (within the send timeout, or at all).
    pub(super) fn send(&self, message: Message, wait: bool, more: bool) -> io::Result<bool> {
        let mut message = message;
        let flags = if wait { 0 } else { z::ZMQ_DONTWAIT } | if more { z::ZMQ_SNDMORE } else { 0 };
        loop {
            // SAFETY: the message is initialised and ours. On success libzmq takes its content and leaves
            // an empty one; on failure it stays as it was. Either way `message` closes what it holds.
            let sent = unsafe { z::zmq_msg_send(&mut message.0, self.raw, flags as c_int) };
            if sent != -1 {
                return Ok(true);
            }
            match errno() {
                libc::EINTR => {}
                libc::EAGAIN => return Ok(false),
                _ => return Err(last_error()),
            }
        }
    }

    /// A descriptor of its own that can be read when there is something to look at.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        duplicate(self.socket.get_fd()?)
    }

    /// Whether there is something to receive now.
    pub(super) fn has_more(&self) -> io::Result<bool> {
        Ok(self.socket.get_events()?.contains(zmq::POLLIN))
    }

    /// The next part, if one is there.
    pub(super) fn receive(&self) -> io::Result<Option<Message>> {
        let mut message = Message::empty();
        loop {
            // SAFETY: the message is initialised and ours; libzmq replaces its content.
            let got = unsafe { z::zmq_msg_recv(&mut message.0, self.raw, z::ZMQ_DONTWAIT as c_int) };
            if got != -1 {
                return Ok(Some(message));
            }
            match errno() {
                libc::EINTR => {}
                libc::EAGAIN => return Ok(None),
                _ => return Err(last_error()),
            }
        }
    }
}

/// Waits until one of the sockets or the descriptor can be read, and says which.
pub(super) fn poll<const N: usize>(
    sockets: [&Socket; N],
    wake: BorrowedFd<'_>,
    limit: Duration,
) -> io::Result<([bool; N], bool)> {
    let own = zmq::PollItem::from_fd(wake.as_raw_fd(), zmq::POLLIN);
    let items = sockets.iter().map(|socket| socket.socket.as_poll_item(zmq::POLLIN));
    let mut items: Vec<_> = items.chain([own]).collect();
    // Round up: a limit below a millisecond must not become a busy loop.
    let limit = limit.as_micros().div_ceil(1_000).min(c_int::MAX as u128) as i64;
    match zmq::poll(&mut items, limit) {
        // A signal: the caller looks again.
        Err(zmq::Error::EINTR) => return Ok(([false; N], false)),
        result => result?,
    };
    Ok((std::array::from_fn(|index| items[index].is_readable()), items[N].is_readable()))
}

/// The same for sockets that were all read until nothing was left: what comes after that shows at their descriptors.
/// [`poll`] asks each socket as well, twice, which are two system calls each time.
pub(super) fn poll_emptied<const N: usize>(
    sockets: [&Socket; N],
    wake: BorrowedFd<'_>,
    limit: Duration,
) -> io::Result<([bool; N], bool)> {
    let mut fds = [0; N];
    for (fd, socket) in fds.iter_mut().zip(sockets) {
        *fd = socket.socket.get_fd()?;
    }
    ppoll(fds, wake, limit)
}

/// The same by [descriptors](Socket::descriptor), for whoever does not have the sockets.
pub(super) fn poll_descriptors<const N: usize>(
    sockets: [BorrowedFd<'_>; N],
    wake: BorrowedFd<'_>,
    limit: Duration,
) -> io::Result<([bool; N], bool)> {
    ppoll(sockets.map(|socket| socket.as_raw_fd()), wake, limit)
}

fn ppoll<const N: usize>(fds: [RawFd; N], wake: BorrowedFd<'_>, limit: Duration) -> io::Result<([bool; N], bool)> {
    let item = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut items: Vec<_> = fds.into_iter().chain([wake.as_raw_fd()]).map(item).collect();
    // Longer than any uptime is long enough.
    let seconds = libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX).min(1 << 30);
    let time = libc::timespec { tv_sec: seconds, tv_nsec: libc::c_long::from(limit.subsec_nanos()) };
    let count = items.len() as libc::nfds_t;
    // SAFETY: a pointer to as many items as it is told, and one to a whole `timespec`. Whatever the numbers refer to is
    // only asked.
    match check(unsafe { libc::ppoll(items.as_mut_ptr(), count, &raw const time, std::ptr::null()) }) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(([false; N], false)),
        result => result?,
    }
    Ok((std::array::from_fn(|index| items[index].revents != 0), items[N].revents != 0))
}

/// Whether the other side of a connection is gone, by its descriptor. libzmq closes that when it likes and another may
/// get its number, so this is a hint.
pub(super) fn has_hung_up(fd: RawFd) -> bool {
    let mut item = libc::pollfd { fd, events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: a pointer to one item. A number that names no descriptor is answered in `revents`.
    let polled = unsafe { libc::poll(&raw mut item, 1, 0) };
    polled > 0 && item.revents != 0
}

/// One message part: owned, and not yet shared.
pub(super) struct Message(z::zmq_msg_t);

impl Message {
    pub(super) fn empty() -> Message {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: `zmq_msg_init` initialises whatever memory it is given and cannot fail.
        unsafe {
            z::zmq_msg_init(raw.as_mut_ptr());
            Message(raw.assume_init())
        }
    }

    /// A message with a copy of `bytes`.
    pub(super) fn copy_of(bytes: &[u8]) -> io::Result<Message> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: on success the message is initialised and has room for exactly `bytes.len()` bytes, which
        // do not overlap with `bytes`.
        unsafe {
            check(z::zmq_msg_init_size(raw.as_mut_ptr(), bytes.len()))?;
            let mut message = Message(raw.assume_init());
            let to = z::zmq_msg_data(&mut message.0).cast::<u8>();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
            Ok(message)
        }
    }

    /// A message that refers to `bytes` and drops its reference when libzmq is done.
    pub(super) fn sharing(bytes: Bytes) -> io::Result<Message> {
        let (data, len) = (bytes.as_ptr().cast_mut().cast::<c_void>(), bytes.len());
        let hint = Box::into_raw(Box::new(bytes));
        let mut raw = MaybeUninit::uninit();
        // SAFETY: the bytes stay where they are and unchanged until `drop_bytes` drops the box; libzmq
        // never writes to the data of a message that it sends. If the call fails it has taken nothing and
        // the box is dropped here.
        unsafe {
            if let Err(error) = check(z::zmq_msg_init_data(raw.as_mut_ptr(), data, len, Some(drop_bytes), hint.cast()))
            {
                drop(Box::from_raw(hint));
                return Err(error);
            }
            Ok(Message(raw.assume_init()))
        }
    }

    /// Whether more parts of the same message follow.
    pub(super) fn more(&self) -> bool {
        // SAFETY: the message is initialised and only read.
        unsafe { z::zmq_msg_more(&self.0) != 0 }
    }

    /// A property of the connection the message came over, such as `__fd` or `User-Id`, and a number that
    /// is this connection's as long as a message from it is kept.
    pub(super) fn property(&self, name: &CStr) -> Option<(&str, usize)> {
        // SAFETY: the message is initialised and only read. The string belongs to the metadata of the
        // connection, which never changes and which this message keeps alive.
        let value = unsafe {
            let value = z::zmq_msg_gets(&self.0, name.as_ptr());
            if value.is_null() {
                return None;
            }
            CStr::from_ptr(value)
        };
        Some((value.to_str().ok()?, value.as_ptr().addr()))
    }

    /// Makes the message one whose clones share its bytes.
    pub(super) fn share(mut self) -> SharedMessage {
        let mut copy = Message::empty();
        // SAFETY: both are initialised and ours. The first copy marks the content as shared; from here on
        // copying and closing only count references, atomically. See `SharedMessage::clone`.
        unsafe { z::zmq_msg_copy(&mut copy.0, &mut self.0) };
        SharedMessage(self)
    }
}

impl Deref for Message {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the message is initialised. `zmq_msg_data` takes a `*mut` only for want of `const` in C:
        // it reads. The bytes live as long as the message; an empty message has a pointer into itself.
        unsafe {
            let raw = std::ptr::from_ref(&self.0);
            std::slice::from_raw_parts(z::zmq_msg_data(raw.cast_mut()).cast::<u8>(), z::zmq_msg_size(raw))
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: the message is initialised and closed once.
        unsafe { z::zmq_msg_close(&mut self.0) };
    }
}

unsafe extern "C" fn drop_bytes(_data: *mut c_void, hint: *mut c_void) {
    // SAFETY: `hint` is the box that `Message::sharing` gave away, and libzmq calls this once.
    drop(unsafe { Box::from_raw(hint.cast::<Bytes>()) });
}

/// A message as libzmq received it. Clones share the bytes, except those of messages of up to 33 bytes,
/// which libzmq keeps in the message itself.
pub struct SharedMessage(Message);

// The type below is plain bytes to the compiler, so it is `Send` and `Sync` by itself. Both are right:
// `Message::share` has marked the content as shared, so nothing writes to a `SharedMessage` through `&`.

impl SharedMessage {
    pub(super) fn property(&self, name: &CStr) -> Option<(&str, usize)> {
        self.0.property(name)
    }

    /// A second message over the same bytes.
    pub(super) fn to_message(&self) -> Message {
        let mut copy = Message::empty();
        // SAFETY: both are initialised. `zmq_msg_copy` writes to its source only to mark content as shared,
        // and this content is marked already; what remains are atomic counts of references.
        unsafe { z::zmq_msg_copy(&mut copy.0, std::ptr::from_ref(&self.0.0).cast_mut()) };
        copy
    }
}

impl Clone for SharedMessage {
    fn clone(&self) -> SharedMessage {
        SharedMessage(self.to_message())
    }
}

impl AsRef<[u8]> for SharedMessage {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Deref for SharedMessage {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// A counter in the kernel that can be polled: not inherited, never blocks.
pub(super) fn eventfd() -> io::Result<File> {
    // SAFETY: takes no pointers; the descriptor is new and owned by nobody else.
    unsafe {
        let fd = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
        check(fd)?;
        Ok(File::from(OwnedFd::from_raw_fd(fd)))
    }
}

/// A second descriptor for what `fd` refers to, or an error if it refers to nothing.
pub(super) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: a system call on a number; whatever it refers to is not closed or changed by it, and the
    // descriptor that comes back is new.
    unsafe {
        let copy = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0);
        check(copy)?;
        Ok(OwnedFd::from_raw_fd(copy))
    }
}

/// Ends the connection of a socket in both directions.
pub(super) fn shutdown(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a system call on a descriptor that is borrowed for its length.
    check(unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR) })
}

/// Lets so many bytes that were sent over a local socket wait to be taken. Does nothing to a socket of another kind.
pub(super) fn widen_local(socket: BorrowedFd<'_>, bytes: c_int) -> io::Result<()> {
    let mut domain: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    let fd = socket.as_raw_fd();
    // SAFETY: pointers to a whole `int` and to its length; the descriptor is borrowed for both calls.
    unsafe {
        check(libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_DOMAIN, (&raw mut domain).cast(), &mut length))?;
        if domain != libc::AF_UNIX {
            return Ok(());
        }
        check(libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, (&raw const bytes).cast(), length))
    }
}

/// Raises the limit of open descriptors as far as it goes without privileges.
pub(super) fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a pointer to a whole `rlimit`.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 && limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// How many descriptors this process may have.
pub(super) fn descriptor_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: gets a pointer to a whole `rlimit`.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    (got == 0).then_some(limit.rlim_cur)
}

/// How much waits in the system to be taken by the other end of a socket, if there is no room for more.
pub(super) fn waiting_if_full(socket: BorrowedFd<'_>) -> Option<i32> {
    let mut asked = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    let mut waiting: c_int = 0;
    // SAFETY: a pointer to one `pollfd`, and one to the `int` that this request writes; the descriptor is borrowed
    // for the length of both calls.
    unsafe {
        let full = libc::poll(&mut asked, 1, 0) == 0;
        let told = libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &mut waiting) == 0;
        (full && told).then_some(waiting)
    }
}

fn check(rc: c_int) -> io::Result<()> {
    if rc == -1 { Err(last_error()) } else { Ok(()) }
}

fn errno() -> c_int {
    // SAFETY: takes nothing; reads a number of this thread.
    unsafe { z::zmq_errno() }
}

/// The last error of libzmq or the system in this thread (they share one number).
fn last_error() -> io::Error {
    let number = errno();
    if number < z::ZMQ_HAUSNUMERO as c_int {
        return io::Error::from_raw_os_error(number);
    }
    // SAFETY: libzmq answers any number with a string that lives for ever.
    let text = unsafe { CStr::from_ptr(z::zmq_strerror(number)) };
    io::Error::other(text.to_string_lossy())
}

#[cfg(test)]
mod fork;
