//! `show`: one transfer, with what happened on its way.

use towline::{SqliteReader, StoreError, Transfer};

use crate::args::{Common, Show};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Output, to_json};

pub(crate) async fn run(args: Show, common: &Common, output: &mut Output) -> Result<Exit, Error> {
    let unknown = || Error::from(StoreError::Unknown(args.id));
    let dir = common.state_dir();
    if !dir.join("towline.db").exists() {
        return Err(unknown());
    }
    let reader = SqliteReader::open(&dir)?;
    let record = reader.get(args.id).await?.ok_or_else(unknown)?;
    let incidents = reader.incidents(args.id).await?;
    let transfer = Transfer::at_rest(record);
    let mut value = to_json(&transfer);
    if output.is_json() {
        value["incidents"] = incidents
            .iter()
            .map(|incident| {
                serde_json::json!({
                    "at": incident.at,
                    "generation": incident.generation,
                    "part": incident.part,
                    "error": incident.error,
                })
            })
            .collect();
        output.json_line(&value);
        return Ok(Exit::Done);
    }
    if let Some(fields) = value.as_object() {
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            let text = match value {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            output.line(&format!("{name:<18} {text}"));
        }
    }
    for incident in incidents {
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
