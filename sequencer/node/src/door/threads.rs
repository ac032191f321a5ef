//! Which threads serve a connection: those of the node, or the strangers'.
//!
//! Whatever comes in (connections, heads, frames, JSON, questions, signatures) takes time before it is known to be nonsense, and
//! a task goes on until it waits for something, so that no order among tasks helps an honest client past one on the same
//! thread. So whoever connects is a stranger, and strangers have threads of their own, which [rest](rests) so much that
//! a processor is free most of the time, however many strangers there are. A connection moves when something good comes of
//! it, and back when something bad does: its tasks, and its socket to the reactor of the same threads.
//!
//! Threads that only had the time which others leave would be simpler and no better: the scheduler lets them finish a slice
//! of milliseconds first, and if one is kept from running while it has a lock, whoever needs that waits as long.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, Runtime};

/// A strangers' thread rests when it has earned so much rest.
const REST: Duration = Duration::from_micros(150);
/// Of what it worked.
const REST_EARNED: u32 = 2;
/// Bytes that are read of a stranger before it rests; unmasking and checking them takes a tenth of a millisecond.
const READ_BYTES: usize = 64 << 10;
/// Beside threads of the node that never wait, theirs have a third of a thread's share.
const NICENESS: i32 = 5;

/// What a stranger has the node do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// To find out what it wants, and to do that. A third of each processor at most.
    Requests,
    /// To send what it listens to, which the public does: whatever busier threads of the node leave.
    Messages,
}

thread_local! {
    /// The rest that this thread has earned.
    static EARNED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Makes the thread that calls one of the strangers'.
pub(crate) fn is_strangers() {
    // Of this thread, says Linux; anybody may ask for less. Should it be refused all the same, there still are the rests.
    let _ = rustix::process::setpriority_process(None, NICENESS);
    // Rests of microseconds end when they should, and not 50 later.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
}

/// Works on a strangers' thread, which rests when it has worked enough. What counts is the processor's time: who waited for the
/// processor has rested already.
pub(crate) fn rests<R>(work: impl FnOnce() -> R) -> R {
    let begun = processor_time();
    let result = work();
    let earned = EARNED.get() + REST_EARNED * processor_time().saturating_sub(begun);
    if earned < REST {
        EARNED.set(earned);
    } else {
        std::thread::sleep(earned);
        EARNED.set(Duration::ZERO);
    }
    result
}

/// What this thread had of a processor.
fn processor_time() -> Duration {
    // Neither is ever negative.
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// The node's threads and the strangers'; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Threads {
    known: Handle,
    strange: Handle,
}

/// The strangers' threads end with this.
pub(crate) struct Strangers(Option<Runtime>);

impl Drop for Strangers {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // It is dropped by a task, which may not wait.
            runtime.shutdown_background();
        }
    }
}

impl Threads {
    /// Those of the runtime that calls, and others for strangers, as many as there are processors.
    pub(crate) fn start() -> io::Result<(Self, Strangers)> {
        let mut strangers = Builder::new_multi_thread();
        let strangers = strangers.thread_name("strangers").on_thread_start(is_strangers).enable_all().build()?;
        let threads = Self { known: Handle::current(), strange: strangers.handle().clone() };
        Ok((threads, Strangers(Some(strangers))))
    }

    /// Does something for somebody who is known, or for a stranger.
    pub(crate) fn spawn(&self, is_known: bool, work: impl Future<Output = ()> + Send + 'static) {
        if is_known {
            self.known.spawn(work);
        } else {
            self.strange.spawn(Resting(work.boxed()));
        }
    }

    /// Does a connection's work, on the threads where it belongs at each moment.
    pub(crate) fn serve(&self, is_known: Arc<AtomicBool>, what: Work, work: impl Future<Output = ()> + Send + 'static) {
        let here = is_known.load(Ordering::Relaxed);
        self.place(Served { what, work: Some(work.boxed()), threads: self.clone(), is_known, here });
    }

    fn place(&self, served: Served) {
        match (served.here, served.what) {
            (true, _) => self.known.spawn(served),
            (false, Work::Requests) => self.strange.spawn(Resting(served.boxed())),
            (false, Work::Messages) => self.strange.spawn(served),
        };
    }

    /// What strangers' threads listen on.
    pub(crate) fn listen(&self, listener: std::net::TcpListener) -> io::Result<tokio::net::TcpListener> {
        let _entered = self.strange.enter();
        tokio::net::TcpListener::from_std(listener)
    }

    fn of(&self, is_known: bool) -> &Handle {
        if is_known { &self.known } else { &self.strange }
    }
}

/// A task on a strangers' thread.
struct Resting(BoxFuture<'static, ()>);

impl Future for Resting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        rests(|| self.0.poll_unpin(context))
    }
}

/// A task of a connection.
struct Served {
    what: Work,
    /// Until it is done, or goes on elsewhere.
    work: Option<BoxFuture<'static, ()>>,
    threads: Threads,
    is_known: Arc<AtomicBool>,
    /// Whether it is on the threads of those who are known.
    here: bool,
}

impl Future for Served {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { what, work, threads, is_known, here } = &mut *self;
        let belongs = is_known.load(Ordering::Relaxed);
        if belongs == *here {
            return work.as_mut().map_or(Poll::Ready(()), |work| work.poll_unpin(context));
        }
        // It is polled there first of all, and whatever it waits for wakes it there.
        let (known, moved) = (Arc::clone(is_known), threads.clone());
        threads.place(Self { what: *what, work: work.take(), threads: moved, is_known: known, here: belongs });
        Poll::Ready(())
    }
}

/// A connection's socket, at the reactor of the threads where the connection belongs.
pub(crate) struct Stream {
    /// None if it could not be moved.
    stream: Option<TcpStream>,
    threads: Threads,
    is_known: Arc<AtomicBool>,
    here: bool,
    /// Bytes that were read of a stranger without a pause.
    read: usize,
}

impl Stream {
    /// One that strangers' threads have accepted.
    pub(crate) fn new(stream: TcpStream, threads: Threads, is_known: Arc<AtomicBool>) -> Self {
        Self { stream: Some(stream), threads, is_known, here: false, read: 0 }
    }

    fn stream(&mut self, context: &Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        let belongs = self.is_known.load(Ordering::Relaxed);
        if belongs != self.here
            && let Some(stream) = self.stream.take()
        {
            let stream = stream.into_std()?;
            let _entered = self.threads.of(belongs).enter();
            self.stream = Some(TcpStream::from_std(stream)?);
            self.here = belongs;
            // The reactor that it leaves has forgotten who waited, be it to read or to write: the WebSocket's waker wakes both.
            context.waker().wake_by_ref();
        }
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read >= READ_BYTES && !self.here {
            self.read = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = self.stream(context)?.poll_read(context, buffer);
        self.read = if read.is_pending() { 0 } else { self.read + buffer.filled().len() - before };
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream(context)?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream(context)?.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(context)?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(context)?.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_connection_goes_where_it_belongs_and_loses_nothing() {
        let (threads, _strangers) = Threads::start().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = threads.listen(listener).unwrap();
        let (known, accepting) = (Arc::<AtomicBool>::default(), threads.clone());
        let is_known = Arc::clone(&known);
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        threads.spawn(false, async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = Stream::new(stream, accepting.clone(), Arc::clone(&is_known));
            accepting.serve(is_known, Work::Requests, async move {
                while let Ok(byte) = stream.read_u8().await {
                    let thread = std::thread::current().name() == Some("strangers");
                    tell.send(thread).unwrap();
                    stream.write_u8(byte).await.unwrap();
                }
            });
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        for turn in 0..40 {
            let belongs = turn % 2 == 1;
            known.store(belongs, Ordering::Relaxed);
            // What it was about when its standing changed it may end where it is.
            let mut arrived = false;
            for byte in 0..100 {
                client.write_u8(byte).await.unwrap();
                assert_eq!(client.read_u8().await.unwrap(), byte);
                let is_strange = told.recv().await.unwrap();
                arrived = is_strange != belongs;
                if arrived {
                    break;
                }
            }
            assert!(arrived, "it goes on where it belongs, in turn {turn}");
        }
    }

    #[test]
    fn a_strangers_thread_works_a_third_of_the_time_at_most() {
        let (begun, before) = (Instant::now(), processor_time());
        for _ in 0..200 {
            rests(|| {
                let begun = processor_time();
                while processor_time() - begun < REST / 3 {}
            });
        }
        let worked = processor_time() - before;
        assert!(worked >= REST / 3 * 200);
        // What ending a rest takes is work, too.
        assert!(begun.elapsed() > worked * 3 * 2 / 3, "{worked:?} of {:?}", begun.elapsed());
    }
}
