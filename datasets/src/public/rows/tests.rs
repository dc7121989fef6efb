//! What the sink lets through, and what a trace ends with.

use super::*;

struct Script(VecDeque<Result<Vec<(&'static str, u64)>, TraceError>>);

impl Loader for Script {
    fn advance(&mut self, sink: &mut Sink) -> Result<bool, TraceError> {
        let Some(step) = self.0.pop_front() else { return Ok(false) };
        for (name, seconds) in step? {
            let guest = sink.guest(name).unwrap();
            sink.sample(UseSample {
                guest,
                at: Span::from_seconds(seconds),
                cpu: MilliCores::new(1),
                memory: None,
            });
        }
        Ok(true)
    }
}

fn rows(steps: Vec<Result<Vec<(&'static str, u64)>, TraceError>>) -> TraceRows {
    let sink = Sink::observing(Span::from_seconds(10));
    TraceRows::new(Box::new(Script(steps.into())), sink, Tally::default(), 0)
}

#[test]
fn guests_are_numbered_as_they_appear_and_live_as_long_as_they_are_seen() {
    let mut rows =
        rows(vec![Ok(vec![("b", 0), ("a", 5), ("b", 10)]), Ok(vec![]), Ok(vec![("a", 95)])]);
    let all: Vec<TraceRow> = rows.by_ref().map(Result::unwrap).collect();
    let lives: Vec<Life> = all
        .iter()
        .filter_map(|row| match row {
            TraceRow::Life(life) => Some(*life),
            TraceRow::Use(_) => None,
        })
        .collect();
    assert_eq!((all.len(), lives.len(), rows.guests()), (6, 2, 2));
    assert_eq!(lives[0].stays, Some(Span::from_seconds(20)), "b, seen at 0 and 10");
    assert_eq!((lives[1].begins, lives[1].stays), (Span::from_seconds(5), None), "a, to the end");
    assert_eq!(rows.repairs().of(Repair::Gap), 1);
}

#[test]
fn time_never_goes_backwards_for_a_guest() {
    let mut rows = rows(vec![Ok(vec![("a", 20), ("a", 20), ("a", 10), ("b", 10), ("a", 30)])]);
    let samples = rows.by_ref().filter(|r| matches!(r, Ok(TraceRow::Use(_)))).count();
    assert_eq!(samples, 3);
    let counted: Vec<_> = rows.repairs().iter().collect();
    assert_eq!(counted, [(Repair::Duplicate, 1), (Repair::Backwards, 1)]);
}

#[test]
fn a_whole_trace_is_in_order() {
    let steps = || vec![Ok(vec![("b", 20), ("b", 30), ("a", 10), ("a", 30)])];
    let whole = rows(steps()).whole(4).unwrap();
    let samples: Vec<_> = whole.samples.iter().map(|s| (s.at, s.guest)).collect();
    let at = |seconds| Span::from_seconds(seconds);
    assert_eq!(samples, [(at(10), 1), (at(20), 0), (at(30), 0), (at(30), 1)]);
    assert_eq!(whole.lives.iter().map(|life| life.guest).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(whole.repairs.of(Repair::Gap), 1);
    let error = rows(steps()).whole(3).unwrap_err().to_string();
    assert!(error.contains("more than 3 samples"), "{error}");
}

#[test]
fn an_error_is_the_last_row() {
    let error = TraceError::absent(Path::new("x"), "is gone");
    let mut rows = rows(vec![Ok(vec![("a", 1)]), Err(error.clone()), Ok(vec![("a", 2)])]);
    assert!(matches!(rows.next(), Some(Ok(TraceRow::Use(_)))));
    assert_eq!(rows.next(), Some(Err(error)));
    assert_eq!(rows.next(), None);
}
