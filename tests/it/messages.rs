//! Messages to subscribers, through a real SMTP server and a real HTTP service for texts.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tollkeeper::domain::{Channel, ContactField, DueMessage, LoggedMessage};
use tollkeeper::engine::{self, token::TokenKey};
use tollkeeper::gateway::{Gateways, Settings};
use tollkeeper::radius::Secret;
use tollkeeper::radius::dictionary::Dictionary;
use tollkeeper::service::{
    CustomerOrder, Gateway as _, GatewayError, ManagementGate, MessageOrder, MessageTemplate, PlanChange,
};
use tollkeeper::store::Store;
use tollkeeper::time::SystemClock;

/// What a server was told.
type Heard = Arc<Mutex<Vec<String>>>;

/// Takes letters as RFC 5321 says, but for those to `nobody@…`.
async fn smtp_server() -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Heard::default();
    let held = Arc::clone(&heard);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(converse(stream, Arc::clone(&held)));
        }
    });
    (port, heard)
}

async fn converse(stream: TcpStream, heard: Heard) {
    let (reading, mut writing) = stream.into_split();
    let mut lines = BufReader::new(reading).lines();
    writing.write_all(b"220 test ESMTP\r\n").await.unwrap();
    let mut letter = None::<String>;
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = match (&mut letter, line.as_str()) {
            (Some(text), ".") => {
                heard.lock().unwrap().push(std::mem::take(text));
                letter = None;
                "250 taken\r\n"
            }
            (Some(text), line) => {
                text.push_str(line);
                text.push('\n');
                continue;
            }
            (None, "DATA") => {
                letter = Some(String::new());
                "354 go on\r\n"
            }
            (None, line) if line.starts_with("RCPT TO:<nobody@") => "550 no such user\r\n",
            (None, "QUIT") => "221 bye\r\n",
            (None, _) => "250 fine\r\n",
        };
        if writing.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Takes texts over HTTP, or over HTTPS as `tests/data/tls/one.pem`.
async fn sms_service(tls: bool) -> (u16, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Heard::default();
    let held = Arc::clone(&heard);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if !tls {
                take_text(stream, &held).await;
            } else if let Ok(stream) = acceptor().accept(stream).await {
                take_text(stream, &held).await;
            }
        }
    });
    (port, heard)
}

async fn take_text(mut stream: impl AsyncRead + AsyncWrite + Unpin, heard: &Heard) {
    let mut request = Vec::new();
    let mut octets = [0; 4096];
    loop {
        let count = stream.read(&mut octets).await.unwrap();
        request.extend_from_slice(&octets[..count]);
        if count == 0 || String::from_utf8_lossy(&request).contains("text=") {
            break;
        }
    }
    heard.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
    stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    stream.flush().await.unwrap();
}

fn acceptor() -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter("tests/data/tls/one.pem").unwrap().collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_file("tests/data/tls/one.key.pem").unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(builder.with_no_client_auth().with_single_cert(chain.unwrap(), key).unwrap()))
}

async fn logged(gate: &ManagementGate, id: i64, channel: Channel, status: i64) -> Vec<LoggedMessage> {
    for _ in 0..600 {
        let log = gate.console("tester").messages(id, channel).await.unwrap();
        if !log.is_empty() && log.iter().all(|message| message.status == status) {
            return log;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = gate.console("tester").messages(id, channel).await.unwrap();
    panic!("not all are {status}: {log:?}");
}

#[tokio::test]
async fn letters_and_texts_arrive_with_what_the_log_does_not_show() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    let store = Store::connect(&tollkeeper::store::Settings::new(&url)).await.unwrap();
    store.migrate().await.unwrap();
    let (smtp, letters) = smtp_server().await;
    let (sms, texts) = sms_service(false).await;
    let gateways = Gateways::new(&Settings {
        smtp: Some(format!("smtp://127.0.0.1:{smtp}")),
        from: Some("isp@example.net".to_owned()),
        sms_url: Some(format!("http://127.0.0.1:{sms}/send?from=isp")),
        ..Settings::default()
    })
    .unwrap();
    let settings = engine::Settings::new(TokenKey::new(&[0; 32]), jiff::tz::TimeZone::UTC);
    let gate = ManagementGate::new(store.clone(), Dictionary::embedded(), settings, Arc::new(SystemClock))
        .with_gateways(vec![Channel::Sms, Channel::Email]);
    let agenda = tokio::spawn(gate.clone().run_agenda(gateways));

    let management = gate.console("tester");
    let plan = management.add_plan("gold", &PlanChange::default()).await.unwrap();
    let order = |login: &str, email: &str| CustomerOrder {
        login: Some(login.to_owned()),
        password: Some("opensesame".to_owned()),
        plan: Some(plan.0),
        contact: vec![(ContactField::Phone, "9999999999".into()), (ContactField::Email, email.into())],
        ..CustomerOrder::default()
    };
    let john = management.add_customer(&order("john", "john@example.net")).await.unwrap().0;
    let nobody = management.add_customer(&order("nobody", "nobody@example.net")).await.unwrap().0;
    let access = |template, detail| MessageOrder {
        template: MessageTemplate(template),
        detail,
        ..MessageOrder::default()
    };
    management.send_messages(&[john], Channel::Email, &access("userRecipt", "customerPortal")).await.unwrap();
    management.send_messages(&[john], Channel::Sms, &access("grantAccess", "PPPoE/Hotspot")).await.unwrap();
    management.send_messages(&[nobody], Channel::Email, &access("suspend", "")).await.unwrap();

    let log = logged(&gate, john, Channel::Email, 202).await;
    assert!(log[0].content.contains("Password: ***") && !log[0].content.contains("opensesame"), "{log:?}");
    assert_eq!(log[0].error, "Email is sent successfully");
    let letter = letters.lock().unwrap().join("\n");
    assert!(letter.contains("Password: opensesame") && letter.contains("Subject: You have been"), "{letter}");
    let log = logged(&gate, john, Channel::Sms, 202).await;
    assert_eq!(log[0].error, "Sms is dispatched successfully");
    let text = texts.lock().unwrap().join("\n");
    assert!(text.starts_with("POST /send?from=isp HTTP/1.1\r\n") && text.contains("to=9999999999"), "{text}");
    assert!(text.contains("Password%3A+opensesame"), "{text}");
    let log = logged(&gate, nobody, Channel::Email, 500).await;
    assert!(log[0].error.contains("no such user"), "{log:?}");
    agenda.abort();
}

#[tokio::test]
async fn a_text_goes_over_tls_to_whom_the_authority_vouches_for() {
    let (port, texts) = sms_service(true).await;
    let settings = |authority: Option<&str>| Settings {
        sms_url: Some(format!("https://127.0.0.1:{port}/send")),
        sms_token: Secret::new(b"s3cret"),
        sms_ca: authority.map(Into::into),
        ..Settings::default()
    };
    let message = DueMessage {
        id: 1,
        channel: Channel::Sms,
        address: "9999999999".into(),
        subject: "".into(),
        body: "Your code is 123456".into(),
        attempts: 0,
    };
    let unknown = Gateways::new(&settings(None)).unwrap().send(&message).await;
    assert!(
        matches!(&unknown, Err(GatewayError::Unreachable(why)) if why.contains("certificate")),
        "{unknown:?}"
    );
    assert!(texts.lock().unwrap().is_empty());
    Gateways::new(&settings(Some("tests/data/tls/ca.pem"))).unwrap().send(&message).await.unwrap();
    let text = texts.lock().unwrap().join("\n");
    assert!(text.contains("authorization: Bearer s3cret\r\n"), "{text}");
    assert!(text.ends_with("to=9999999999&text=Your+code+is+123456"), "{text}");
    let missing = Gateways::new(&settings(Some("tests/data/tls/nothing.pem"))).err().unwrap();
    assert_eq!(missing.key, "messages.sms_ca");
}
