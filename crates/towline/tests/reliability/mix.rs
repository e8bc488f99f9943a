//! Every kind of fault at once: each request has one of them with the same
//! probability, whatever it asks for.

use std::time::Duration;

use towline_testserver::{Answer, Apply, By, Operation, Point, Rule, Script};

/// Bytes that are wrong and say nothing of it show only in the whole, after all
/// of it was fetched. More than this of each of its ranges, and a download of
/// many would see no sound generation in four.
const MOST_SILENT: f64 = 0.005;

const SHORT: Duration = Duration::from_millis(300);

const OPERATIONS: [Operation; 9] = [
    Operation::PutObject,
    Operation::CreateMultipartUpload,
    Operation::UploadPart,
    Operation::CompleteMultipartUpload,
    Operation::AbortMultipartUpload,
    Operation::ListParts,
    Operation::ListMultipartUploads,
    Operation::HeadObject,
    Operation::GetObject,
];

/// A script in which each request has a fault with this probability.
pub(crate) fn script(seed: u64, probability: f64) -> Script {
    let mut script = Script::new().seed(seed);
    for operation in OPERATIONS {
        let on = || Rule::on(operation);
        let mut kinds = any(&on);
        let mut silent = Vec::new();
        match operation {
            Operation::PutObject | Operation::UploadPart => kinds.extend(sending(&on)),
            Operation::GetObject => {
                kinds.extend(fetching(&on));
                silent.extend(silently_wrong(&on));
            }
            Operation::CompleteMultipartUpload => kinds.extend(completing(&on)),
            Operation::HeadObject => kinds.push(on().drop_header("etag")),
            _ => {}
        }
        // Drawn one after the other, they make up the whole.
        let all = (kinds.len() + silent.len()) as f64;
        let each = 1.0 - (1.0 - probability).powf(1.0 / all);
        for rule in silent {
            script = script.rule(rule.probability(each.min(MOST_SILENT)));
        }
        for rule in kinds {
            script = script.rule(rule.probability(each));
        }
    }
    script
}

/// What can happen to any request.
fn any(on: &impl Fn() -> Rule) -> Vec<Rule> {
    let html = "<html><body>Bad Gateway</body></html>";
    vec![
        on().answer(Answer::error(500, "InternalError")),
        on().answer(Answer::status(502).body(html, "text/html")),
        on().answer(Answer::error(503, "SlowDown")),
        on().answer(Answer::error(503, "ServiceUnavailable")),
        on().answer(Answer::status(504)),
        on().answer(Answer::status(408)),
        on().answer(Answer::error(429, "TooManyRequests")),
        on().answer(Answer::error(400, "RequestTimeout")),
        on().cut(Point::BeforeRead, By::Rst),
        on().cut(Point::BeforeRead, By::Fin),
        // Applied, and the answer lost.
        on().cut(Point::AfterRequest, By::Rst),
        on().cut(Point::AfterRequest, By::Fin),
        on().cut(Point::AfterRequest, By::Fin).apply(Apply::No),
        on().cut(Point::AfterHeaders, By::Fin),
        // Applied, and told to have failed.
        on().answer(Answer::error(500, "InternalError"))
            .apply(Apply::Yes),
        on().stall(Point::AfterRequest, Some(SHORT)),
        on().delay(SHORT),
    ]
}

/// What can happen to bytes that are sent.
fn sending(on: &impl Fn() -> Rule) -> Vec<Rule> {
    vec![
        on().cut(Point::RequestBytes(1), By::Rst),
        on().cut(Point::RequestBytes(2_000_000), By::Rst),
        on().cut(Point::RequestBytes(5_000_000), By::Fin),
        on().answer(Answer::error(503, "SlowDown").early(100_000))
            .cut(Point::AfterResponse, By::Rst),
        on().flip_request(0, 7),
        on().flip_request(3_000_000, 0),
        on().stall(Point::RequestBytes(1_000_000), Some(SHORT)),
        on().stall(Point::RequestBytes(1_000_000), None),
        // Late, after it was sent again.
        on().cut(Point::AfterRequest, By::Rst)
            .apply(Apply::LateMs(400)),
        on().answer(Answer::error(500, "InternalError"))
            .apply(Apply::LateMs(400)),
        on().duplicate(Duration::from_millis(200)),
        on().drop_header("etag"),
        on().drop_header("x-amz-checksum-crc64nvme"),
    ]
}

/// What can happen to bytes that are fetched, and shows.
fn fetching(on: &impl Fn() -> Rule) -> Vec<Rule> {
    vec![
        on().cut(Point::ResponseBytes(1), By::Rst),
        on().cut(Point::ResponseBytes(2_000_000), By::Fin),
        on().cut(Point::ResponseBytes(5_000_000), By::Rst),
        on().truncate(1000),
        on().truncate(1_000_000).keep_length(),
        on().extend(5),
        on().ignore_range(),
        on().set_header("content-range", "bytes 7-9/10"),
        on().stall(Point::ResponseBytes(1_000_000), Some(SHORT)),
        on().stall(Point::ResponseBytes(1_000_000), None),
        on().drop_header("etag"),
        on().drop_header("content-length"),
    ]
}

/// Wrong bytes under right headers.
fn silently_wrong(on: &impl Fn() -> Rule) -> Vec<Rule> {
    vec![on().flip(0, 3), on().flip(3_000_000, 4), on().scramble()]
}

/// What only Complete says.
fn completing(on: &impl Fn() -> Rule) -> Vec<Rule> {
    let late_error = Answer::error(200, "InternalError").white_space(SHORT);
    vec![
        on().answer(Answer::status(200)),
        on().answer(Answer::error(200, "InternalError")),
        on().answer(late_error),
        on().answer(Answer::status(200).body("<?xml version=\"1.0\"?><Comp", "application/xml")),
        on().truncate(60),
        on().cut(Point::AfterRequest, By::Rst)
            .apply(Apply::LateMs(400)),
        on().answer(Answer::error(500, "InternalError"))
            .apply(Apply::LateMs(400)),
        on().duplicate(Duration::from_millis(200)),
    ]
}
