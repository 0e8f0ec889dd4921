//! Durations as people write them: `60m`, `12h`, `1h 30m`, `2d`; and times as they read them.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// The shortest time after which a host may end itself.
pub(crate) const LEAST: Duration = Duration::from_secs(60);
/// The longest.
const MOST: Duration = Duration::from_secs(30 * 24 * 3600);

/// Parses how long a host may live: between a minute and thirty days.
pub fn parse(text: &str) -> Result<Duration, String> {
    parse_from(LEAST, "1m", text)
}

/// Parses how long to wait for something: between a second and thirty days.
pub fn parse_wait(text: &str) -> Result<Duration, String> {
    parse_from(Duration::from_secs(1), "1s", text)
}

fn parse_from(least: Duration, shown: &str, text: &str) -> Result<Duration, String> {
    let example = "write it like 90m, 12h or 2d";
    let span: Span = text.trim().parse().map_err(|_| format!("`{text}` is not a duration: {example}"))?;
    let duration: SignedDuration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| format!("`{text}` is in months or years: {example}"))?;
    match Duration::try_from(duration) {
        Ok(duration) if (least..=MOST).contains(&duration) => Ok(duration),
        _ => Err(format!("`{text}` is not between {shown} and 30d: {example}")),
    }
}

/// A time to the minute: `2026-01-31 12:00 UTC`.
pub fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Parses a duration, or `never`.
pub fn parse_or_never(text: &str) -> Result<Timeout, String> {
    if text.trim().eq_ignore_ascii_case("never") {
        Ok(Timeout(None))
    } else {
        parse(text).map(|duration| Timeout(Some(duration)))
    }
}

/// A time after which something happens; `None`: never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(pub Option<Duration>);

/// `1h30m`, `45s`: at most two units.
pub fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, 0) => format!("{hours}h"),
        (0, hours, minutes) => format!("{hours}h{minutes}m"),
        (days, 0, _) => format!("{days}d"),
        (days, hours, _) => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let minutes = |minutes: u64| Ok(Duration::from_secs(minutes * 60));
        assert_eq!(parse("60m"), minutes(60));
        assert_eq!(parse("12h"), minutes(720));
        assert_eq!(parse("1h30m"), minutes(90));
        assert_eq!(parse("1h 30m"), minutes(90));
        assert_eq!(parse("2d"), minutes(2880));
        assert_eq!(parse_wait("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(parse_or_never("never"), Ok(Timeout(None)));
    }

    #[test]
    fn what_is_no_sensible_duration_is_refused() {
        for text in ["", "60", "soon", "-5m", "0m", "59s", "31d", "1e9h", "never"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_our_words() {
        assert_eq!(parse("1y"), Err("`1y` is in months or years: write it like 90m, 12h or 2d".to_owned()));
    }

    #[test]
    fn durations_are_shown_in_at_most_two_units() {
        let show = |seconds| super::show(Duration::from_secs(seconds));
        assert_eq!((show(45), show(3600), show(5400)), ("45s".to_owned(), "1h".to_owned(), "1h30m".to_owned()));
        assert_eq!((show(86400), show(90000)), ("1d".to_owned(), "1d1h".to_owned()));
    }
}
