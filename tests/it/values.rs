//! Values of attributes against an outside implementation: radclient writes what we read, and
//! prints what we wrote.

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tollkeeper::entropy::SeededEntropy;
use tollkeeper::radius::attribute::MESSAGE_AUTHENTICATOR;
use tollkeeper::radius::value::{Encoded, encode, print, values};
use tollkeeper::radius::{
    AccessReply, AttributeDef, DataType, Dictionary, Hiding, Packet, ReplyAttributes, Secret,
};

use crate::support::programs::skip;

/// `Name = value` as radclient takes and prints it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line(String);

/// One attribute to send, there and back.
struct Item {
    def: AttributeDef,
    tag: Option<u8>,
    /// As a row of a table would have it.
    text: String,
}

impl Item {
    /// radclient reads no longer words, and what is hidden is not for requests.
    fn is_for_requests(&self) -> bool {
        self.def.hiding.is_none() && self.text.len() < 253
    }

    fn line(&self) -> Line {
        line(&self.def, self.tag, &self.text)
    }
}

fn line(def: &AttributeDef, tag: Option<u8>, text: &str) -> Line {
    let tag = tag.map_or_else(String::new, |tag| format!(":{tag}"));
    let quote = if matches!(def.data_type, DataType::Text | DataType::Date) { "\"" } else { "" };
    Line(format!("{}{tag} = {quote}{text}{quote}", def.name))
}

/// Some values of the attribute's type in the form in which they are printed.
fn samples(def: &AttributeDef, dictionary: &Dictionary) -> Vec<String> {
    if def.concat {
        // One alone, since two would be taken for one.
        return vec![match def.data_type {
            // NAS-Filter-Rule: FreeRADIUS 3.2 reads no longer one.
            DataType::Text => "a".repeat(253),
            _ => format!("0x{}", "5a".repeat(300)),
        }];
    }
    if let Some(length) = def.length {
        return vec![format!("0x{}", "5a".repeat(length.into()))];
    }
    let fixed: &[&str] = match def.data_type {
        DataType::Text if def.hiding == Some(Hiding::AscendSecret) => &["at most 16"],
        DataType::Text => &["plain text", r#"q\"uo\\te é \001\377 end"#],
        DataType::Octets => &["0x00", "0x0102030405060708090a0b0c0d0e0f10ff"],
        DataType::Byte => &["254"],
        DataType::Short => &["65534"],
        DataType::Integer if def.tagged => &["16777213"],
        DataType::Integer => &["4294967293"],
        DataType::Integer64 => &["18446744073709551615", "1"],
        DataType::Signed => &["-5", "2147483647"],
        DataType::Date => &["Jan  5 2030 01:02:03 UTC"],
        DataType::Ipv4Address => &["192.0.2.1", "255.255.255.254"],
        DataType::Ipv6Address => &["2001:db8::1", "::"],
        DataType::Ipv4Prefix => &["192.0.2.0/24", "192.0.2.1/32"],
        DataType::Ipv6Prefix => &["2001:db8::/32", "2001:db8:1:2:3::/80"],
        DataType::ComboIp => &["192.0.2.1", "2001:db8::1"],
        DataType::Ether => &["02:00:5e:10:00:01"],
        DataType::InterfaceId => &["1:22:333:ffff"],
        _ => &[],
    };
    let mut texts: Vec<String> = fixed.iter().map(|text| (*text).to_owned()).collect();
    if def.data_type.is_number() {
        texts.extend(dictionary.values(def).take(2).map(|(_, name)| name.to_owned()));
    }
    texts
}

/// Every shipped attribute of the wire under the name that is shown, several in a packet.
fn batches(dictionary: &Dictionary) -> Vec<Vec<Item>> {
    let (mut batches, mut batch, mut size) = (Vec::new(), Vec::new(), 0);
    for def in dictionary.iter().filter(|def| !def.internal) {
        let vendor = def.specific_vendor().map(|vendor| vendor.number);
        if dictionary.by_path(vendor, &def.numbers) != Some(def) || left_out(def) {
            continue;
        }
        for (text, tag) in samples(def, dictionary).into_iter().zip(1..) {
            size += 40 + text.len();
            // EAP-Message keeps other credentials out of its packet.
            if size > 3000 || def.concat {
                batches.push(std::mem::take(&mut batch));
                size = if def.concat { 3000 } else { 0 };
            }
            batch.push(Item { def: def.clone(), tag: def.tagged.then_some(tag), text });
        }
    }
    batches.push(batch);
    batches
}

/// What cannot be compared this way.
fn left_out(def: &AttributeDef) -> bool {
    // radclient or the encoder of the reply computes these.
    let computed =
        ["Message-Authenticator", "Proxy-State", "State", "User-Password", "CHAP-Password", "CHAP-Challenge"];
    // FreeRADIUS 3.2 does not write TLVs in standard attributes, and prints them by number.
    let tlv = matches!(def.numbers.as_slice(), [173, _]);
    tlv || computed.contains(&def.name.as_str())
}

fn is_radclient_there() -> bool {
    let there = Command::new("radclient").arg("-v").output().is_ok();
    if !there {
        skip("radclient is absent (freeradius-utils)");
    }
    there
}

#[test]
fn radclient_reads_what_we_write_and_writes_what_we_read() {
    if !is_radclient_there() {
        return;
    }
    let dictionary = Dictionary::embedded();
    let secret = Secret::new(b"testing123").unwrap();
    let batches = batches(&dictionary);
    let folder = tempfile::tempdir().unwrap();
    let requests = folder.path().join("requests");
    let mut text = String::new();
    for batch in &batches {
        for Line(line) in batch.iter().filter(|item| item.is_for_requests()).map(Item::line) {
            writeln!(text, "{line}").unwrap();
        }
        text.push_str("Message-Authenticator = 0x00\n\n");
    }
    std::fs::write(&requests, text).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionaries");
    // A file, since a pipe that nobody reads would stop it.
    let log = folder.path().join("printed");
    let radclient = Command::new("radclient")
        .args(["-x", "-p", "1", "-r", "1", "-t", "20", "-D"])
        .arg(&ours)
        .arg("-f")
        .arg(&requests)
        .arg(socket.local_addr().unwrap().to_string())
        .args(["auth", "testing123"])
        .env("TZ", "UTC")
        .stdout(std::fs::File::create(&log).unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut entropy = SeededEntropy::new(1);
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for batch in &batches {
        let mut datagram = [0; 4096];
        let (length, from) = match socket.recv_from(&mut datagram) {
            Ok(received) => received,
            Err(error) => {
                let output = radclient.wait_with_output().unwrap();
                panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
            }
        };
        let packet = Packet::decode(&datagram[..length]).unwrap().verify(&secret).unwrap();
        let read: Vec<Line> = values(packet.attributes(), &dictionary)
            .iter()
            .filter(|value| value.vendor.is_some() || value.numbers[0] != u32::from(MESSAGE_AUTHENTICATOR))
            .map(|value| match value.def() {
                Some(def) => line(def, value.tag, &print(def, &value.octets, &dictionary)),
                None => Line(format!("{} = {}", value.name(&dictionary), value.print(&dictionary))),
            })
            .collect();
        let sent: Vec<Line> = batch.iter().filter(|item| item.is_for_requests()).map(Item::line).collect();
        compared += sent.len();
        wrong.extend(differences("radclient sent, we read", &sent, &read));
        let mut attributes = ReplyAttributes::new();
        for item in batch {
            match encode(&item.def, item.tag, &item.text, &dictionary).unwrap() {
                Encoded::Wire(octets) => attributes.push_wire(&octets),
                Encoded::Hidden(hidden) => attributes.push_hidden(&hidden),
            }
        }
        let mut reply = Vec::new();
        AccessReply::Accept(attributes).encode(&packet, &secret, &mut entropy, &mut reply).unwrap();
        socket.send_to(&reply, from).unwrap();
    }
    let output = radclient.wait_with_output().unwrap();
    let printed = std::fs::read_to_string(&log).unwrap();
    let mut replies: Vec<Vec<Line>> = Vec::new();
    let mut received = false;
    for text in printed.lines() {
        if !text.starts_with('\t') {
            received = text.starts_with("Received ");
            if received {
                replies.push(Vec::new());
            }
        } else if received && !text.starts_with("\tMessage-Authenticator = ") {
            replies.last_mut().unwrap().push(Line(text.trim_start().to_owned()));
        }
    }
    assert_eq!(replies.len(), batches.len(), "{}", String::from_utf8_lossy(&output.stderr));
    for (batch, printed) in batches.iter().zip(&replies) {
        let sent: Vec<Line> = batch.iter().map(Item::line).collect();
        compared += sent.len();
        wrong.extend(differences("we sent, radclient printed", &sent, printed));
    }
    assert!(wrong.is_empty(), "{} of {compared}\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 4000, "only {compared}");
}

/// What one list has and the other lacks.
fn differences(what: &str, expected: &[Line], found: &[Line]) -> Vec<String> {
    let (mut expected, mut found) = (expected.to_vec(), found.to_vec());
    expected.retain(|line| match found.iter().position(|other| other == line) {
        Some(at) => {
            found.remove(at);
            false
        }
        None => true,
    });
    let lacking = expected.iter().map(|Line(line)| format!("{what}, lacking: {line}"));
    let more = found.iter().map(|Line(line)| format!("{what}, instead: {line}"));
    lacking.chain(more).collect()
}
