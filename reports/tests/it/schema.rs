//! The published schemas against what is written.

use jsonschema::Validator;
use serde_json::{Value, json};
use test_case::test_case;
use wheeltap_reports::{Format, Schema};

use crate::fixture::Fixture;

/// The schema as it is published, which lets keys be added.
fn published(schema: Schema) -> Validator {
    let schema = serde_json::from_str(schema.text()).unwrap();
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

/// The same without room for keys that it doesn't know, so that none is forgotten in it.
fn strict(schema: Schema) -> Validator {
    fn close(schema: &mut Value) {
        match schema {
            Value::Object(keys) => {
                if keys.contains_key("properties") {
                    keys.insert("additionalProperties".into(), json!(false));
                }
                // A condition is about some keys of many.
                keys.iter_mut().filter(|(key, _)| *key != "if").for_each(|(_, it)| close(it));
            }
            Value::Array(items) => items.iter_mut().for_each(close),
            _ => {}
        }
    }
    let mut schema = serde_json::from_str(schema.text()).unwrap();
    close(&mut schema);
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

fn demand(schema: Schema, document: &Value) {
    for validator in [published(schema), strict(schema)] {
        let errors: Vec<_> = validator
            .iter_errors(document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{schema:?}: {}", errors.join("\n"));
    }
}

/// Demands that a run's plan, log and report are as the schemas say.
pub(crate) fn hold(fixture: &Fixture) {
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    demand(Schema::Report, &parse(&fixture.render(Format::Json)));
    demand(Schema::Plan, &serde_json::to_value(&fixture.plan).unwrap());
    fixture.log().lines().for_each(|line| demand(Schema::Event, &parse(line)));
}

fn report() -> Value {
    let case = ("boot.skip", crate::fixture::UEFI);
    let mut fixture = Fixture::new(&[case]).skip("no second disk");
    fixture.start().finish(wheeltap_reports::Outcome::NothingRan);
    serde_json::from_str(&fixture.render(Format::Json)).unwrap()
}

/// Schemas that refuse nothing would hold everywhere.
#[test_case("/version", json!(2); "a newer format")]
#[test_case("/outcome", json!("green"); "an outcome that there isn't")]
#[test_case("/state", json!("interrupted"); "a signal without its name")]
#[test_case("/created", json!("yesterday"); "no time")]
#[test_case("/counts/pass", json!(-1); "less than nothing")]
#[test_case("/plan_digest", json!("5e"); "a digest that is cut")]
#[test_case("/image", json!(null); "no image")]
#[test_case("/cases/0/verdict", json!("ok"); "a verdict that there isn't")]
#[test_case("/cases/0/reason", json!(7); "a reason that is no text")]
#[test_case("/cases/0/seconds", json!("1"); "a number in quotes")]
fn wrong_values_are_refused(pointer: &str, value: Value) {
    let mut report = report();
    assert!(published(Schema::Report).is_valid(&report));
    *report.pointer_mut(pointer).unwrap() = value;
    assert!(!published(Schema::Report).is_valid(&report));
}

#[test_case("", "cases"; "a report without cases")]
#[test_case("/cases/0", "reason"; "a skip without a reason")]
#[test_case("/cases/0", "attempts"; "a case without attempts")]
#[test_case("/started/host", "cpus"; "a host without CPUs")]
fn missing_keys_are_refused(pointer: &str, key: &str) {
    let mut report = report();
    report.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key).unwrap();
    assert!(!published(Schema::Report).is_valid(&report));
}

/// Keys may be added within a version, but not without telling the schema.
#[test]
fn unknown_keys_are_for_readers_only() {
    let mut report = report();
    report["cases"][0]["colour"] = json!("red");
    assert!(published(Schema::Report).is_valid(&report));
    assert!(!strict(Schema::Report).is_valid(&report));
}

#[test_case(&json!({"at": "2026-01-31T12:00:00Z", "event": "note"}); "a note without text")]
#[test_case(&json!({"at": "2026-01-31T12:00:00Z", "event": "nonesuch"}); "an event that there isn't")]
#[test_case(&json!({"event": "note", "text": "x"}); "no time")]
fn wrong_events_are_refused(event: &Value) {
    assert!(!published(Schema::Event).is_valid(event));
}
