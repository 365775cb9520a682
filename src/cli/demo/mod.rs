//! `tollkeeper serve --demo`: a playground on a throw-away database, with simulated NASes that use it.

mod fleet;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::context;
use super::output::Output;
use super::{Failure, context::user};
use crate::config::Settings;
use crate::domain::TriState;
use crate::domain::operator::{Dialect, Rights};
use crate::entropy::{Entropy as _, SystemEntropy};
use crate::http::Addresses;
use crate::radius::Secret;
use crate::server::Ready;
use crate::service::{MadeKey, Management, PlanChange, Proof, SubscriberOrder};
use crate::store::{NewNas, Store};

/// The shared secret of every example there is.
const SECRET: &str = "testing123";
/// What Antamedia's callers send, unless the configuration says something else.
const PASSPHRASE: &str = "playground";
/// The password of the simulated guests.
const GUEST_PASSWORD: &str = "guest";
/// Simulated guests.
const GUESTS: u32 = 10;
/// A device that logs in by its address.
const DEVICE: &str = "02-00-00-00-0A-01";

/// A folder that lives as long as the playground, with the database and a configuration in it.
pub(super) struct Playground {
    folder: PathBuf,
    nases: fleet::Nases,
    /// Of mFusion.
    key: Option<MadeKey>,
    /// Of Antamedia, where the configuration has none.
    passphrase: Option<&'static str>,
}

impl Playground {
    /// Makes the folder, points the settings at it and fills its database.
    pub(super) async fn build(settings: &mut Settings) -> Result<Self, Failure> {
        let number = SystemEntropy.number();
        let folder = std::env::temp_dir().join(format!("tollkeeper-demo-{number:016x}"));
        let failed = |error| Failure::Io(folder.display().to_string(), error);
        std::fs::create_dir(&folder).map_err(failed)?;
        let nases = fleet::Nases::bind().await.map_err(|error| Failure::Io("demo".to_owned(), error))?;
        let mut playground = Self { folder, nases, key: None, passphrase: None };
        settings.data_dir.clone_from(&playground.folder);
        settings.database.url = playground.database();
        let config = format!(
            "# Of a playground; gone when it ends.\ndata_dir = {:?}\n[database]\nurl = {:?}\n",
            playground.folder,
            playground.database()
        );
        std::fs::write(playground.config(), config).map_err(|error| Failure::Io("demo".to_owned(), error))?;
        let store = Store::connect(&settings.store()).await?;
        store.migrate().await?;
        let gate = context::gate(settings, &store)?;
        let console = gate.console(&user());
        playground.fill(&console).await?;
        let key = console.create_key(Dialect::Mfusion, Rights::ALL, "", &mut SystemEntropy).await?;
        playground.key = Some(key);
        if settings.dialects.antamedia_passphrase.is_none() {
            settings.dialects.antamedia_passphrase = Some(secret(PASSPHRASE));
            playground.passphrase = Some(PASSPHRASE);
        }
        store.close().await;
        Ok(playground)
    }

    fn database(&self) -> String {
        format!("sqlite:{}", self.folder.join("tollkeeper.db").display())
    }

    fn config(&self) -> PathBuf {
        self.folder.join("tollkeeper.toml")
    }

    async fn fill(&self, management: &Management<'_>) -> Result<(), Failure> {
        for network in ["127.0.0.1/32", "::1/128"] {
            management.add_nas(&self.nas(network)).await?;
        }
        let plan = |down: u64, up: u64, price: &str, attributes: &[&str]| PlanChange {
            price: Some(crate::domain::Amount::parse(price)),
            currency: Some("USD".to_owned()),
            rate_down: Some(Some(down)),
            rate_up: Some(Some(up)),
            attributes: texts(attributes),
            ..PlanChange::default()
        };
        management
            .add_plan("gold", &plan(50_000_000, 10_000_000, "20.00", &["Simultaneous-Use := 3"]))
            .await?;
        let silver =
            plan(10_000_000, 2_000_000, "8.00", &["Simultaneous-Use := 1", "Session-Timeout := 86400"]);
        management.add_plan("silver", &silver).await?;

        let add = async |login: &str, proof: Proof, plan: &str, attributes: &[&str]| {
            let order = SubscriberOrder {
                login: login.to_owned(),
                proof,
                plan: Some(plan.to_owned()),
                account: String::new(),
                attributes: texts(attributes),
                ..SubscriberOrder::default()
            };
            management.add_subscriber(&order).await
        };
        let password = |word: &str| Proof::Password(word.to_owned());
        add("bob", password("hello"), "gold", &["Reply-Message := Hello, bob"]).await?;
        add("alice", password("wonderland"), "silver", &[]).await?;
        add("carol", password("carol"), "silver", &[]).await?;
        add("late", password("late"), "silver", &["Expiration := 01 Jan 2020"]).await?;
        add("2718281828", Proof::Pin, "silver", &[]).await?;
        add(DEVICE, Proof::Mac, "silver", &[]).await?;
        for number in 0..GUESTS {
            // There is a place left for whoever tries `load`.
            add(&format!("guest{number}"), password(GUEST_PASSWORD), "gold", &[]).await?;
        }
        Ok(())
    }

    fn nas(&self, network: &str) -> NewNas {
        let network = network.parse().expect("it is written so here");
        NewNas {
            network,
            name: format!("demo {network}"),
            nas_type: "mikrotik".to_owned(),
            secret: SECRET.to_owned(),
            secret_next: None,
            identifier: None,
            coa_port: Some(self.nases.coa_port()),
            coa_secret: None,
            swap_octets: false,
            require_message_authenticator: TriState::Auto,
            limit_proxy_state: TriState::Auto,
        }
    }

    /// Sets the simulated devices going, and says on standard error what can be tried.
    pub(super) fn open(&self, ready: &Ready, output: &Output) -> Fleet {
        let (auth, accounting) = (reachable(&ready.auth), reachable(&ready.accounting));
        output.complain(&self.hints(auth, accounting, ready.http));
        let secret = secret(SECRET);
        let mut guests = vec![
            fleet::Guest::new("carol", "carol", "02-00-00-00-0C-01", true),
            fleet::Guest::new(DEVICE, DEVICE, DEVICE, true),
        ];
        for number in 0..GUESTS {
            let mac = format!("02-00-00-00-0B-{number:02X}");
            guests.push(fleet::Guest::new(
                &format!("guest{number}"),
                GUEST_PASSWORD,
                &mac,
                number < GUESTS / 2,
            ));
        }
        Fleet(self.nases.run(guests, auth, accounting, &Arc::new(secret)))
    }

    fn hints(&self, auth: SocketAddr, accounting: SocketAddr, http: Addresses) -> String {
        let program =
            std::env::current_exe().map_or_else(|_| "tollkeeper".into(), |path| path.display().to_string());
        let config = self.config();
        let config = config.display();
        let radtest = if auth.port() == 1812 { auth.ip().to_string() } else { auth.to_string() };
        let mut lines = vec![
            format!("A playground on {}, gone when it ends. NAS {}, secret {SECRET}.", self.database(), auth.ip()),
            "bob/hello and alice/wonderland may log in; carol/carol is online and has one place; late/late has expired;"
                .to_owned(),
            format!("2718281828 is a PIN and {DEVICE} a device. Simulated NASes keep a dozen sessions going."),
            "Try:".to_owned(),
            format!("  radtest bob hello {radtest} 0 {SECRET}"),
            format!("  radtest late late {radtest} 0 {SECRET}"),
            format!(
                "  echo User-Name=bob,Acct-Session-Id=1,Acct-Status-Type=Start | radclient -x {accounting} acct {SECRET}"
            ),
        ];
        if let Some(http) = http.http.map(|at| reachable(&[at])) {
            lines.push(format!("  curl http://{http}/health"));
            lines.push(format!("  curl http://{http}/metrics"));
            lines.push(format!("  curl http://{http}/openapi.json"));
            lines.extend(self.key.iter().flat_map(|key| mfusion(http, key)));
        }
        let antamedia = http.antamedia.map(|at| reachable(&[at]));
        if let Some((antamedia, passphrase)) = antamedia.zip(self.passphrase) {
            lines.push(format!("  curl 'http://{antamedia}/getaccountlist?pass={passphrase}'"));
        }
        for command in [
            "session list",
            "session disconnect SESSION-ID",
            "session coa SESSION-ID 'Mikrotik-Rate-Limit = 1M/1M'",
            "explain carol --device 02-00-00-00-0C-02",
            "subscriber show bob",
        ] {
            lines.push(format!("  {program} {command} --config {config}"));
        }
        lines.push(format!(
            "  {program} load auth --target {auth} --secret {SECRET} --user-prefix guest --password {GUEST_PASSWORD} \
             --users {GUESTS} --seconds 5"
        ));
        lines.join("\n")
    }
}

/// A token, and something to do with it.
fn mfusion(at: SocketAddr, key: &MadeKey) -> [String; 3] {
    let root = format!("http://{at}/mbox/api/hotspot");
    let MadeKey { key_id, secret } = key;
    [
        format!(
            "  TOKEN=$(curl -s {root}/auth -d '{{\"api_id\":\"{key_id}\",\"secret\":\"{secret}\"}}' | grep -o 'eyJ[^\"]*' | head -1)"
        ),
        format!("  curl -H \"Authorization: Bearer $TOKEN\" '{root}/users?perPage=3'"),
        format!(
            "  curl -H \"Authorization: Bearer $TOKEN\" {root}/users -d '{{\"username\":\"dave\",\"password\":\"hello\",\"usertype\":\"user\",\"profiles\":\"silver\"}}'"
        ),
    ]
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes()).expect("it is written here and not empty")
}

impl Drop for Playground {
    fn drop(&mut self) {
        // Whoever holds a file open keeps it; the system clears its folder of temporary files.
        let _ = remove(&self.folder);
    }
}

fn remove(folder: &Path) -> std::io::Result<()> {
    std::fs::remove_dir_all(folder)
}

/// The simulated devices; dropped, they fall silent.
pub(super) struct Fleet(
    #[expect(dead_code, reason = "held, so that the tasks end with it")] tokio::task::JoinSet<()>,
);

fn texts(attributes: &[&str]) -> Vec<String> {
    attributes.iter().map(|text| (*text).to_owned()).collect()
}

/// An address of this machine under which a listener can be reached from it.
fn reachable(addresses: &[SocketAddr]) -> SocketAddr {
    let address = addresses.first().copied().unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}
