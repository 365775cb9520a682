//! A caller that keeps its connection, as billing systems do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::support::PATIENCE;

/// One connection to a listener, opened anew when the server has closed it.
pub(super) struct Connection {
    to: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    pub(super) fn new(to: SocketAddr) -> Self {
        Self { to, stream: None }
    }

    /// Sends a request and gives status and body of the answer.
    pub(super) fn send(&mut self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: tollkeeper\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        let kept = self.stream.is_some();
        match self.exchange(&request) {
            Some(answer) => answer,
            // What was kept may have been closed meanwhile; nothing of the request was looked at then.
            None if kept => self.exchange(&request).unwrap_or_else(|| panic!("no answer to {method} {path}")),
            None => panic!("no answer to {method} {path}"),
        }
    }

    fn exchange(&mut self, request: &str) -> Option<(u16, String)> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.to).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_nodelay(true).unwrap();
                BufReader::new(stream)
            }
        };
        stream.get_mut().write_all(request.as_bytes()).ok()?;
        let mut status = None;
        let (mut length, mut closes) = (0, false);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if status.is_none() {
                status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
            }
            if let Some((name, value)) = line.split_once(':') {
                let value = value.trim();
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.parse().unwrap();
                }
                closes |= name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close");
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        if !closes {
            self.stream = Some(stream);
        }
        Some((status?, String::from_utf8(body).unwrap()))
    }
}
