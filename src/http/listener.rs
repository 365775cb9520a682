//! Accepting connections and serving them: how many, how long one may be silent, how long a head may take
//! and how large it may be. A stranger who opens many, or opens one and says nothing, or says it octet by
//! octet, costs little and not for long.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper::{Request, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tower_http::normalize_path::NormalizePath;

use super::peer::Peer;
use super::tls::Certificate;

/// Connections of one listener at a time; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 1_024;
/// Octets of the head of a request, and of what is read ahead of a body.
const HEAD_MAX: usize = 16_384;
/// Header fields of a request.
const HEADERS_MAX: usize = 100;
/// Pause after the system had no socket to give, or no memory for one.
const PAUSE: Duration = Duration::from_millis(100);

/// A listener with what it serves.
pub(super) struct Served {
    pub(super) name: &'static str,
    pub(super) listener: TcpListener,
    /// Paths are without a slash at their end.
    pub(super) router: NormalizePath<Router>,
    pub(super) tls: Option<Certificate>,
    /// Longest silence of a connection, and longest time for the head of a request or the start of TLS.
    pub(super) patience: Duration,
}

/// What a request asks for as it was written; the router sees a path without slashes before and behind it.
#[derive(Clone, Debug)]
pub(super) struct Written(pub(super) Uri);

impl Served {
    /// Serves until `stopped` says so, then takes no new connections and finishes the requests that are
    /// under way; dropped before that, it cuts them off.
    pub(super) async fn run(self, mut stopped: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                // A sender that is gone means the same.
                _ = stopped.wait_for(|stopping| *stopping) => break,
                accepted = accept(&self.listener, &places) => accepted,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, peer, place)) => {
                    let stream = BoundedStream::new(stream, self.patience);
                    let connection = self.connection(stream, Peer::from(peer), graceful.watcher());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                // Whoever was to be accepted is gone, or there is no room for more.
                Err(error) => {
                    tracing::debug!(listener = self.name, %error, "a connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        drop(self.listener);
        graceful.shutdown().await;
    }

    /// One connection from its first octet to its last. What a stranger does wrong is their own affair.
    fn connection(
        &self,
        stream: BoundedStream,
        peer: Peer,
        watcher: Watcher,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (router, tls, patience) = (self.router.clone(), self.tls.clone(), self.patience);
        async move {
            match tls {
                None => serve(stream, router, peer, patience, watcher).await,
                Some(certificate) => {
                    let starting = certificate.acceptor().accept(stream);
                    if let Ok(Ok(stream)) = tokio::time::timeout(patience, starting).await {
                        serve(stream, router, peer, patience, watcher).await;
                    }
                }
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, peer) = listener.accept().await?;
    // Answers are written in one piece; a failure only makes them slower.
    let _slower = stream.set_nodelay(true);
    Ok((stream, peer, place))
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: NormalizePath<Router>,
    peer: Peer,
    patience: Duration,
    watcher: Watcher,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        let written = Written(request.uri().clone());
        request.extensions_mut().insert(written);
        let answer = router.call(request);
        async move { answer.await.map(|response: Response| response) as Result<Response, Infallible> }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        // Who has asked may be done with sending.
        .half_close(true)
        // Some callers look for names as the RFCs write them, whatever RFC 9110 §5.1 says of their case.
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "an HTTP connection ended badly");
    }
}

/// A connection that fails once neither side has moved an octet for its patience.
#[derive(Debug)]
pub(super) struct BoundedStream {
    stream: TcpStream,
    silence: Pin<Box<Sleep>>,
    patience: Duration,
}

impl BoundedStream {
    fn new(stream: TcpStream, patience: Duration) -> Self {
        Self { stream, silence: Box::pin(tokio::time::sleep(patience)), patience }
    }

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
