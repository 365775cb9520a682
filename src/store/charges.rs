//! The account of a charged session as JSON in `tk_cdr.charges`: what the session goes on from after a
//! restart, and what reports show of it.

use serde_json::{Value, json};
use smol_str::SmolStr;

use crate::domain::plan::PlanId;
use crate::domain::{Amount, Charge, ChargePart, Price, Usage, WalletKind};
use crate::time::UnixTime;

/// What is kept. Usage is seconds, octets from the subscriber and octets to it.
pub(super) fn to_json(charge: &Charge) -> String {
    let usage = |usage: Usage| json!([usage.seconds, usage.input, usage.output]);
    let rules: Vec<Value> = charge
        .parts
        .iter()
        .map(|part| {
            json!({
                "rule": part.rule,
                "name": part.name.as_str(),
                "per_minute": part.price.per_minute.to_string(),
                "per_kib": part.price.per_kib.to_string(),
                "start": part.start.0,
                "end": part.end.0,
                "before": usage(part.before),
                "used": usage(part.used),
                "credit": part.cost().to_string(),
            })
        })
        .collect();
    let account = json!({
        "plan": charge.plan.0,
        "plan_name": charge.plan_name.as_str(),
        "wallet": charge.wallet.as_str(),
        "before_credit": charge.before.to_string(),
        "rated": usage(charge.rated),
        "until": charge.until.0,
        "rules": rules,
    });
    account.to_string()
}

/// Reads what [`to_json`] wrote; `None` where it is something else.
pub(super) fn from_json(text: &str) -> Option<Charge> {
    let account: Value = serde_json::from_str(text).ok()?;
    let parts = account.get("rules")?.as_array()?.iter().map(part).collect::<Option<Vec<_>>>()?;
    Some(Charge {
        plan: PlanId(account.get("plan")?.as_i64()?),
        plan_name: word(&account, "plan_name")?,
        // Those of earlier releases do not say: there was one.
        wallet: match account.get("wallet") {
            Some(wallet) => WalletKind::parse(wallet.as_str()?)?,
            None => WalletKind::Credit,
        },
        before: amount(&account, "before_credit")?,
        rated: usage(&account, "rated")?,
        until: UnixTime(account.get("until")?.as_i64()?),
        parts,
    })
}

fn part(value: &Value) -> Option<ChargePart> {
    let time = |name| value.get(name)?.as_i64().map(UnixTime);
    Some(ChargePart {
        rule: value.get("rule")?.as_i64()?,
        name: word(value, "name")?,
        price: Price { per_minute: amount(value, "per_minute")?, per_kib: amount(value, "per_kib")? },
        start: time("start")?,
        end: time("end")?,
        before: usage(value, "before")?,
        used: usage(value, "used")?,
    })
}

fn word(value: &Value, name: &str) -> Option<SmolStr> {
    value.get(name)?.as_str().map(SmolStr::new)
}

fn amount(value: &Value, name: &str) -> Option<Amount> {
    Amount::parse(value.get(name)?.as_str()?)
}

fn usage(value: &Value, name: &str) -> Option<Usage> {
    let [seconds, input, output] = value.get(name)?.as_array()?.as_slice() else { return None };
    Some(Usage { seconds: seconds.as_u64()?, input: input.as_u64()?, output: output.as_u64()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_comes_back_as_it_was() {
        let usage = Usage { seconds: 1, input: u64::MAX, output: 3 };
        let amount = |text| Amount::parse(text).unwrap();
        let part = ChargePart {
            rule: 3,
            name: "at \"night\"\0".into(),
            price: Price { per_minute: amount("0.000000000000000001"), per_kib: amount("999999999999") },
            start: UnixTime(-1),
            end: UnixTime(i64::MAX),
            before: Usage::default(),
            used: usage,
        };
        let charge = Charge {
            plan: PlanId(7),
            plan_name: "gold".into(),
            wallet: WalletKind::Money,
            before: amount("-3.25"),
            rated: usage,
            until: UnixTime(5),
            parts: vec![part.clone(), part],
        };
        let text = to_json(&charge);
        assert!(!text.contains('\0'), "columns are told apart by it on SQLite");
        assert_eq!(from_json(&text), Some(charge));
        for wrong in ["", "{}", "[]", "{\"plan\": 1}"] {
            assert_eq!(from_json(wrong), None, "{wrong}");
        }
    }
}
