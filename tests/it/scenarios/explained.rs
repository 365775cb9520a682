//! What a running server says of a login from its memory, and what the tables say.

use std::net::IpAddr;

use tollkeeper::config::Settings;
use tollkeeper::domain::RejectReason;
use tollkeeper::engine::{self, token::TokenKey};
use tollkeeper::packs::Packs;
use tollkeeper::radius::Dictionary;
use tollkeeper::service::{Explanation, Imagined, ManagementGate};
use tollkeeper::store::Store;

use super::script::{assignment, pieces, plain};
use super::world::World;

/// `LOGIN [on NAS] [device MAC] [address IP] [password WORD]` as it stands before the colon.
#[derive(Default)]
struct Asked<'a> {
    live: bool,
    login: &'a str,
    nas: Option<&'a str>,
    device: Option<&'a str>,
    address: Option<IpAddr>,
    password: Option<&'a str>,
}

impl<'a> Asked<'a> {
    fn read(text: &'a str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let mut asked = Self::default();
        while let Some(word) = words.next() {
            let mut next = || words.next().ok_or_else(|| format!("{word} what?"));
            match word {
                "live" => asked.live = true,
                "on" => asked.nas = Some(next()?),
                "device" => asked.device = Some(next()?),
                "address" => asked.address = Some(next()?.parse().map_err(|_| "no address")?),
                "password" => asked.password = Some(next()?),
                login => asked.login = login,
            }
        }
        Ok(asked)
    }
}

impl World {
    /// `explain [live] LOGIN [on NAS] …: decision = reject, reason = KEY, rule = TEXT, last = KEY, Name = value`;
    /// `-` is none. Without `live` the tables must say the same, a moment later at most.
    pub(super) async fn explain(&self, text: &str) -> Result<(), String> {
        let (who, expected) = text.split_once(": ").ok_or("no `: ` before what is expected")?;
        let asked = Asked::read(who)?;
        let nas = match asked.nas {
            Some(name) => Some(self.address_of(name).ok_or("no such NAS")?),
            None => None,
        };
        let imagined = Imagined {
            login: asked.login,
            nas,
            device: asked.device,
            address: asked.address,
            password: asked.password,
            ..Imagined::default()
        };
        let server = self.server().ok_or("no server runs")?;
        let explainer = server.explainer().await.ok_or("it has no database")?;
        let said = explainer.explain(imagined).await.map_err(|error| error.to_string())?;
        holds(&said, expected).map_err(|reason| format!("the server: {reason}"))?;
        if asked.live {
            return Ok(());
        }
        self.soon(async || {
            let said = from_tables(imagined, self.settings(), self.clock()).await?;
            holds(&said, expected).map_err(|reason| format!("the tables: {reason}"))
        })
        .await
    }
}

async fn from_tables(
    imagined: Imagined<'_>,
    settings: &Settings,
    clock: std::sync::Arc<dyn tollkeeper::time::Clock>,
) -> Result<Explanation, String> {
    let store = Store::connect(&settings.store()).await.map_err(|error| error.to_string())?;
    let rules = engine::Settings::new(TokenKey::new(&[0; 32]), settings.timezone.clone());
    let gate = ManagementGate::new(store.clone(), Dictionary::embedded(), rules, clock);
    let gate = gate.with_nases(Packs::embedded(), settings.nas.clone());
    let said = gate.console("test").explain(imagined).await;
    store.close().await;
    said.map_err(|error| error.to_string())
}

fn holds(said: &Explanation, expected: &str) -> Result<(), String> {
    let key = |reject: Option<RejectReason>| reject.map_or("-", RejectReason::key).to_owned();
    if said.steps.iter().filter(|seen| seen.decides && seen.rule == said.rule).count() != 1 {
        return Err(format!("not one step decides: {said:#?}"));
    }
    for piece in pieces(expected, ',') {
        let (name, value) = assignment(piece)?;
        let found = match name {
            "decision" => if said.reject.is_none() { "accept" } else { "reject" }.to_owned(),
            "reason" => key(said.reject),
            "rule" => said.rule.to_string(),
            "last" => said.last.first().map_or_else(|| "nothing".to_owned(), |last| key(last.reject)),
            attribute => {
                let values = said.attributes.iter().filter(|(known, _)| known == attribute);
                values.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ")
            }
        };
        if found != plain(value) {
            return Err(format!("{name} is {found:?}: {said:#?}"));
        }
    }
    Ok(())
}
