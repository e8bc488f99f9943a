//! `show`: one transfer, with what happened on its way.

use towline::{SqliteReader, StoreError, Transfer};
use towline_daemon::{Client, Shown};

use crate::args::{Common, Show};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

pub(crate) async fn run(args: Show, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let shown = look(&args, common).await?;
    let mut value = serde_json::to_value(&shown).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("store_answered");
    }
    if output.is_json() {
        output.json_line(&value);
        return Ok(Exit::Done);
    }
    if let Some(fields) = value.as_object() {
        let told = |(name, value): &(&String, &serde_json::Value)| {
            !value.is_null() && *name != "incidents"
        };
        for (name, value) in fields.iter().filter(told) {
            let text = match value {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            output.line(&format!("{name:<18} {text}"));
        }
    }
    for incident in shown.incidents {
        let part = incident
            .part
            .map(|part| format!("part {part}: "))
            .unwrap_or_default();
        output.line(&format!(
            "incident           {part}{}",
            incident.error.message
        ));
    }
    Ok(Exit::Done)
}

/// As its owner sees it, or as the store has it where nobody owns it.
async fn look(args: &Show, common: &Common) -> Result<Shown, Error> {
    let dir = common.state_dir();
    if let Ok((owner, _)) = Client::connect(&dir).await {
        return Ok(owner.show(args.id).await?);
    }
    let unknown = || Error::from(StoreError::Unknown(args.id));
    if !dir.join("towline.db").exists() {
        return Err(unknown());
    }
    let reader = SqliteReader::open(&dir)?;
    let record = reader.get(args.id).await?.ok_or_else(unknown)?;
    let incidents = reader.incidents(args.id).await?;
    Ok(Shown {
        seen: Transfer::at_rest(record).into(),
        incidents: incidents.into_iter().map(Into::into).collect(),
    })
}
