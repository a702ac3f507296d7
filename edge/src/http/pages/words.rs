//! The words of the pages that are said before the modules have come, and without JavaScript. Those of a show
//! and of what is on are the modules' own words, since the modules take these pages over. `{}` stands for
//! what is filled in.

use chassis::clock::SECOND;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use crate::http::json::TokenStatus;

/// What is said in one language.
pub(super) struct Words {
    /// The language, as HTML names it.
    pub(super) language: &'static str,
    /// Said where nothing can be shown without JavaScript.
    pub(super) modules: &'static str,
    /// Said where a place cannot be read.
    pub(super) later: &'static str,
    pub(super) position: &'static str,
    pub(super) behind: &'static str,
    pub(super) wait: &'static str,
    waiting: &'static str,
    registered: &'static str,
    active: &'static str,
    over: &'static str,
    pub(super) navigation: &'static str,
    pub(super) skip: &'static str,
    pub(super) on_sale: &'static str,
    pub(super) mine: &'static str,
    pub(super) empty: &'static str,
    pub(super) footer: &'static str,
    pub(super) minutes: &'static str,
    pub(super) seats: &'static str,
    pub(super) from: &'static str,
    pub(super) at_most_one: &'static str,
    pub(super) at_most: &'static str,
    pub(super) sale_opens: &'static str,
    pub(super) sale_closes: &'static str,
    pub(super) sale_over: &'static str,
    pub(super) called_off: &'static str,
    pub(super) join: &'static str,
    pub(super) register: &'static str,
    pub(super) nobody_waits: &'static str,
    pub(super) one_waits: &'static str,
    pub(super) many_wait: &'static str,
    pub(super) registered_now: &'static str,
    pub(super) paused: &'static str,
    pub(super) join_why: &'static str,
    pub(super) as_who: &'static str,
    pub(super) opens_on: &'static str,
    pub(super) opens_in: &'static str,
    pub(super) full: &'static str,
    pub(super) busy: &'static str,
    one_day: &'static str,
    days: &'static str,
}

/// Words with this filled in.
pub(super) fn with(words: &str, text: &str) -> String {
    words.replacen("{}", text, 1)
}

/// A number with commas between its thousands.
pub(super) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = if number < 0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

impl Words {
    /// When a show begins, by the clock of its venue: its date and time as the contract has them.
    pub(super) fn beginning(&self, date: &str, time: &str, zone: &str) -> String {
        let date = NaiveDate::parse_from_str(date, "%Y-%m-%d");
        let (Ok(date), Ok(time)) = (date, NaiveTime::parse_from_str(time, "%H:%M")) else {
            return String::new();
        };
        let at = date.and_time(time);
        let zone = zone.replace('_', " ");
        if self.is_korean() {
            const DAYS: [&str; 7] = ["월", "화", "수", "목", "금", "토", "일"];
            let day = DAYS.get(date.weekday().num_days_from_monday() as usize).copied().unwrap_or_default();
            return format!("{} {day}요일 {} ({zone})", korean_day(at), korean_time(at));
        }
        format!("{} ({zone})", at.format("%A, %B %-d, %Y at %-I:%M %p"))
    }

    /// An instant in microseconds. Which clock its reader lives by is not known yet.
    pub(super) fn moment(&self, at: i64) -> String {
        let at = DateTime::from_timestamp_micros(at).unwrap_or_default().naive_utc();
        if self.is_korean() {
            return format!("{} {} UTC", korean_day(at), korean_time(at));
        }
        format!("{} UTC", at.format("%b %-d, %Y, %-I:%M %p"))
    }

    /// How much is left of so many microseconds, as a clock shows it.
    pub(super) fn clock(&self, left: i64) -> String {
        let seconds = left.max(0).div_euclid(SECOND) + i64::from(left.max(0) % SECOND > 0);
        let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
        let mut out = match days {
            0 => String::new(),
            1 => format!("{} ", with(self.one_day, "1")),
            _ => format!("{} ", with(self.days, &days.to_string())),
        };
        if days > 0 || hours > 0 {
            out += &format!("{hours}:");
        }
        out + &format!("{:02}:{:02}", seconds % 3_600 / 60, seconds % 60)
    }

    /// An amount of minor units.
    pub(super) fn money(&self, amount: i64, currency: &str, exponent: i32) -> String {
        let unit = 10_i64.pow(exponent.clamp(0, 4).unsigned_abs());
        let mut number = grouped(amount / unit);
        if unit > 1 {
            let digits = unit.ilog10() as usize;
            number += &format!(".{:0digits$}", (amount % unit).unsigned_abs());
        }
        match currency {
            "KRW" => format!("₩{number}"),
            "EUR" => format!("€{number}"),
            "GBP" => format!("£{number}"),
            "USD" if !self.is_korean() => format!("${number}"),
            other => format!("{other}\u{a0}{number}"),
        }
    }

    fn is_korean(&self) -> bool {
        self.language == KOREAN.language
    }

    /// Where a token of this status stands.
    pub(super) fn status(&self, status: TokenStatus) -> &'static str {
        match status {
            TokenStatus::Waiting => self.waiting,
            TokenStatus::Registered => self.registered,
            TokenStatus::Active => self.active,
            TokenStatus::Completed | TokenStatus::Expired | TokenStatus::Left => self.over,
        }
    }
}

fn korean_day(at: NaiveDateTime) -> String {
    format!("{}년 {}월 {}일", at.year(), at.month(), at.day())
}

fn korean_time(at: NaiveDateTime) -> String {
    let (is_afternoon, hour) = at.hour12();
    format!("{} {hour}:{:02}", if is_afternoon { "오후" } else { "오전" }, at.minute())
}

pub(super) static ENGLISH: Words = Words {
    language: "en",
    modules: "To buy tickets here, please allow JavaScript for this page.",
    later: "Your place in line is kept. It cannot be shown at this moment; this page looks again by itself.",
    position: "is your place in line. This page renews itself; your place is kept if you close it.",
    behind: "Behind you",
    wait: "Minutes to wait",
    waiting: "You are in line",
    registered: "You are registered for the opening. This page renews itself.",
    active: "It is your turn. To choose seats, please allow JavaScript for this page.",
    over: "This place in line is over. You can join again.",
    navigation: "Pages",
    skip: "Skip to content",
    on_sale: "On sale",
    mine: "My tickets",
    empty: "Nothing is on sale yet.",
    footer: "All of this is read from a public API.",
    minutes: "{} min",
    seats: "{} seats",
    from: "from {}",
    at_most_one: "One ticket a person.",
    at_most: "At most {} tickets a person.",
    sale_opens: "The sale opens on {}.",
    sale_closes: "The sale closes on {}.",
    sale_over: "The sale of this show has ended.",
    called_off: "This show is called off.",
    join: "Join the line",
    register: "Register for the opening",
    nobody_waits: "Nobody is waiting at this moment.",
    one_waits: "One person is waiting.",
    many_wait: "{} people are waiting.",
    registered_now: "{} registered so far.",
    paused: "The line is paused at this moment. Whoever joins keeps their place.",
    join_why: "Your place is kept when you close this page, lose the network or open it on another device.",
    as_who: "You are",
    opens_on: "The line opens on {}.",
    opens_in: "Until it opens",
    full: "The line is full at this moment. Please try again in a little while.",
    busy: "The system is very busy. Nothing is lost; please try again.",
    one_day: "1 day",
    days: "{} days",
};

pub(super) static KOREAN: Words = Words {
    language: "ko",
    modules: "예매하려면 이 페이지에서 자바스크립트를 허용해 주세요.",
    later: "순서는 그대로 유지됩니다. 지금은 표시할 수 없어 이 페이지가 자동으로 다시 확인합니다.",
    position: "번째로 대기 중입니다. 이 페이지는 자동으로 갱신되며, 닫아도 순서가 유지됩니다.",
    behind: "내 뒤 대기자",
    wait: "예상 대기 시간(분)",
    waiting: "대기 중입니다",
    registered: "대기열 시작을 위해 등록되었습니다. 이 페이지는 자동으로 갱신됩니다.",
    active: "입장하실 차례입니다. 좌석을 선택하려면 자바스크립트를 허용해 주세요.",
    over: "이 순서는 끝났습니다. 다시 참여할 수 있습니다.",
    navigation: "페이지",
    skip: "본문으로 건너뛰기",
    on_sale: "판매 중",
    mine: "내 티켓",
    empty: "아직 판매 중인 공연이 없습니다.",
    footer: "모든 정보는 공개 API에서 읽습니다.",
    minutes: "{}분",
    seats: "{}석",
    from: "{}부터",
    at_most_one: "1인당 최대 {}매까지 예매할 수 있습니다.",
    at_most: "1인당 최대 {}매까지 예매할 수 있습니다.",
    sale_opens: "{}에 판매를 시작합니다.",
    sale_closes: "{}에 판매를 마감합니다.",
    sale_over: "판매가 종료된 공연입니다.",
    called_off: "취소된 공연입니다.",
    join: "대기열 참여",
    register: "대기열 사전 등록",
    nobody_waits: "지금은 대기자가 없습니다.",
    one_waits: "현재 {}명이 대기 중입니다.",
    many_wait: "현재 {}명이 대기 중입니다.",
    registered_now: "지금까지 {}명이 등록했습니다.",
    paused: "대기열이 잠시 멈췄습니다. 지금 참여해도 순서는 유지됩니다.",
    join_why: "창을 닫거나 연결이 끊기거나 다른 기기에서 열어도 순서는 유지됩니다.",
    as_who: "사용자",
    opens_on: "{}에 대기열이 열립니다.",
    opens_in: "시작까지 남은 시간",
    full: "대기열이 가득 찼습니다. 잠시 후 다시 시도해 주세요.",
    busy: "접속이 많습니다. 잃은 것은 없으니 다시 시도해 주세요.",
    one_day: "{}일",
    days: "{}일",
};

#[cfg(test)]
mod tests {
    use super::*;

    /// A module's text, whose names for what is filled in are left out.
    fn module(text: &str) -> String {
        let mut parts = text.split("${");
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            out += "{}";
            out += part.split_once('}').map_or("", |(_, rest)| rest);
        }
        out
    }

    #[test]
    fn what_is_said_before_the_modules_have_come_is_what_they_say() {
        for (words, text) in [
            (&ENGLISH, include_str!("../../../pages/english.js")),
            (&KOREAN, include_str!("../../../pages/korean.js")),
        ] {
            let text = module(text);
            for said in [
                words.navigation,
                words.skip,
                words.on_sale,
                words.mine,
                words.empty,
                words.footer,
                words.minutes,
                words.seats,
                words.from,
                words.at_most_one,
                words.at_most,
                words.sale_opens,
                words.sale_closes,
                words.sale_over,
                words.called_off,
                words.join,
                words.register,
                words.nobody_waits,
                words.one_waits,
                words.many_wait,
                words.registered_now,
                words.paused,
                words.join_why,
                words.as_who,
                words.opens_on,
                words.opens_in,
                words.full,
                words.busy,
                words.one_day,
                words.days,
            ] {
                let quoted = ['"', '`'].map(|quote| format!("{quote}{said}{quote}"));
                assert!(quoted.iter().any(|quoted| text.contains(quoted)), "{}: {said}", words.language);
            }
        }
    }

    #[test]
    fn figures_times_and_money_are_written_as_the_language_writes_them() {
        for (number, written) in [(0, "0"), (999, "999"), (1_000, "1,000"), (-1_234_567, "-1,234,567")] {
            assert_eq!(grouped(number), written);
        }
        let at = 1_988_000_000 * SECOND;
        assert_eq!(ENGLISH.moment(at), "Dec 30, 2032, 6:13 AM UTC");
        assert_eq!(KOREAN.moment(at), "2032년 12월 30일 오전 6:13 UTC");
        assert_eq!(
            ENGLISH.beginning("2031-05-04", "00:30", "America/New_York"),
            "Sunday, May 4, 2031 at 12:30 AM (America/New York)"
        );
        assert_eq!(KOREAN.beginning("2031-05-04", "00:30", "UTC"), "2031년 5월 4일 일요일 오전 12:30 (UTC)");
        assert_eq!(ENGLISH.beginning("soon", "00:30", "UTC"), "");
        for (left, shown) in [
            (0, "00:00"),
            (1, "00:01"),
            (-5 * SECOND, "00:00"),
            (61 * SECOND, "01:01"),
            (3_600 * SECOND, "1:00:00"),
            (86_400 * SECOND, "1 day 0:00:00"),
            (180_061 * SECOND, "2 days 2:01:01"),
        ] {
            assert_eq!(ENGLISH.clock(left), shown);
        }
        for (amount, currency, exponent, shown) in [
            (90_000, "KRW", 0, "₩90,000"),
            (123_405, "EUR", 2, "€1,234.05"),
            (5, "USD", 2, "$0.05"),
            (1_500, "CHF", 2, "CHF\u{a0}15.00"),
            (1_234, "KWD", 3, "KWD\u{a0}1.234"),
        ] {
            assert_eq!(ENGLISH.money(amount, currency, exponent), shown);
        }
        assert_eq!(KOREAN.money(100, "USD", 2), "USD\u{a0}1.00");
    }
}
