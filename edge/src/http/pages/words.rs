//! The few words of the pages that are said without JavaScript; all others are the modules' own.

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
}

impl Words {
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
};
