//! A TCP listener whose connections are bounded in number and in silence: a stranger who opens
//! many, or opens one and says nothing, costs little and not for long.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// Connections of one listener at a time; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 1_024;

/// Accepts no more than [`CONNECTIONS_MAX`] connections, each silent for no longer than `patience`.
#[derive(Debug)]
pub(super) struct BoundedListener {
    inner: TcpListener,
    places: Arc<Semaphore>,
    patience: Duration,
}

impl BoundedListener {
    pub(super) fn new(inner: TcpListener, patience: Duration) -> Self {
        Self { inner, places: Arc::new(Semaphore::new(CONNECTIONS_MAX)), patience }
    }
}

impl Listener for BoundedListener {
    type Io = BoundedStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (BoundedStream, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        let (stream, peer) = Listener::accept(&mut self.inner).await;
        // Answers are written in one piece; a failure only makes them slower.
        let _slower = stream.set_nodelay(true);
        let silence = Box::pin(tokio::time::sleep(self.patience));
        (BoundedStream { stream, silence, patience: self.patience, _place: place }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// A connection that fails once neither side has moved an octet for its patience.
#[derive(Debug)]
pub(super) struct BoundedStream {
    stream: TcpStream,
    silence: Pin<Box<Sleep>>,
    patience: Duration,
    _place: OwnedSemaphorePermit,
}

impl BoundedStream {
    /// Starts the patience anew after something moved, else fails when it is over.
    fn bound<T>(&mut self, moved: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            self.silence.as_mut().set(tokio::time::sleep(self.patience));
            return moved;
        }
        match self.silence.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for BoundedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let moved = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.bound(moved, context)
    }
}

impl AsyncWrite for BoundedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(context, octets);
        self.bound(moved, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.bound(moved, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
