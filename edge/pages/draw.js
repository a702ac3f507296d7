// Whether a place was drawn as `docs/draw.md` says, reckoned here and not by who drew it. It is loaded only
// when somebody asks for it.

import { ask, now } from "./api.js";
import { h } from "./dom.js";
import { recall, remember } from "./person.js";
import { count, language } from "./words.js";

/** @typedef {import("./types.js").Draw} Draw */
/** @typedef {import("./types.js").TokenDraw} TokenDraw */

const WORDS = {
  en: {
    title: "The draw",
    noted: "The draw's commitment is noted on this device. After the opening it is compared.",
    waits: (/** @type {string} */ all, /** @type {string} */ round) =>
      `${all} take part. The draw waits for round ${round} of the public beacon. Who takes part is noted on` +
      " this device, and is compared after the draw.",
    round: (/** @type {string} */ round, /** @type {string} */ chain) =>
      `Round ${round} of the public beacon (drand, chain ${chain}) is part of the seed.`,
    unused: (/** @type {string} */ round) =>
      `Round ${round} of the public beacon was announced, and the draw was held without it. ` +
      "So one has to trust the seller.",
    number: (/** @type {string} */ n, /** @type {string} */ all) =>
      `Number ${n} of ${all} was drawn for you.`,
    commitment: "The secret is the one that was committed to",
    late:
      "Who took part was fixed when the beacon was known already, so it shows nothing. " +
      "One has to trust the seller.",
    same: "The commitment is the one that this device noted before",
    sameRound: "The round is the one that this device noted before",
    sameRoot: "Those who took part are the ones that this device noted before the beacon",
    beacon: "The beacon comes from the signature of its round",
    notNoted: "This device had noted no commitment before the opening.",
    seed: "The seed comes from the secret and from all who took part",
    leaf: "You are among those who took part",
    number_: "Your number is about where your lot puts it",
    good: "right",
    bad: "WRONG",
    cannot: "A browser reckons hashes on https pages only.",
  },
  ko: {
    title: "추첨",
    noted: "추첨의 확약값을 이 기기에 적어 두었습니다. 열린 뒤에 비교합니다.",
    waits: (/** @type {string} */ all, /** @type {string} */ round) =>
      `${all}명이 참여합니다. 추첨은 공개 비콘의 ${round}번 라운드를 기다립니다. 참여자 전체의 값을 이 기기에` +
      " 적어 두었고, 추첨 뒤에 비교합니다.",
    round: (/** @type {string} */ round, /** @type {string} */ chain) =>
      `공개 비콘(drand, 체인 ${chain})의 ${round}번 라운드가 시드에 들어 있습니다.`,
    unused: (/** @type {string} */ round) =>
      `공개 비콘의 ${round}번 라운드를 예고했지만 그것 없이 추첨했습니다. 판매자를 믿을 수밖에 없습니다.`,
    number: (/** @type {string} */ n, /** @type {string} */ all) => `${all}명 중 ${n}번이 뽑혔습니다.`,
    commitment: "비밀값이 미리 확약한 것과 같습니다",
    late:
      "비콘이 이미 알려진 뒤에 참여자가 정해졌으므로 비콘은 아무것도 보여 주지 않습니다. " +
      "판매자를 믿을 수밖에 없습니다.",
    same: "확약값이 이 기기가 미리 적어 둔 것과 같습니다",
    sameRound: "라운드가 이 기기가 미리 적어 둔 것과 같습니다",
    sameRoot: "참여자 전체가 비콘이 나오기 전에 이 기기가 적어 둔 것과 같습니다",
    beacon: "비콘이 그 라운드의 서명에서 나왔습니다",
    notNoted: "이 기기는 열리기 전에 확약값을 적어 두지 않았습니다.",
    seed: "시드가 비밀값과 참여자 전체에서 나왔습니다",
    leaf: "참여자 가운데 당신이 있습니다",
    number_: "당신의 번호가 추첨값이 가리키는 곳에 있습니다",
    good: "맞음",
    bad: "틀림",
    cannot: "브라우저는 https 페이지에서만 해시를 계산합니다.",
  },
};

/** @param {string} hex */
const bytesOf = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
/** @param {Uint8Array} bytes */
const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** SHA-256 of these one after the other. @param {...Uint8Array} parts */
async function sha(...parts) {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all));
}

/**
 * Whether a leaf is in the tree with this root (RFC 9162, 2.1.3.2).
 * @param {TokenDraw} one
 * @param {string} root
 */
async function isIn({ hash, proof: { index, size, path } }, root) {
  if (index >= size) return false;
  let [at, last] = [index, size - 1];
  let now = await sha(Uint8Array.of(0), bytesOf(hash));
  for (const beside of path) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      now = await sha(Uint8Array.of(1), bytesOf(beside), now);
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)];
    } else {
      now = await sha(Uint8Array.of(1), now, bytesOf(beside));
    }
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 && hexOf(now) === root;
}

/**
 * What is right of a draw, by the steps of `docs/draw.md`.
 * @param {Draw} draw
 * @param {TokenDraw} one
 * @returns {Promise<{commitment: boolean, beacon: boolean, seed: boolean, leaf: boolean, number_: boolean}>}
 */
export async function verified(draw, one) {
  const { commitment, registered, secret, root, beacon, seed, beaconSignature } = draw;
  const token = bytesOf(one.token.replaceAll("-", ""));
  const [told, tree, drawn] = [bytesOf(secret ?? ""), bytesOf(root ?? ""), bytesOf(seed ?? "")];
  const isMine = hexOf(await sha(token)) === one.hash;
  const isWhole = one.proof.size === registered && one.of === registered;
  // Six bytes of the lot are exact enough for its share of all that a lot can be.
  const lot = await sha(drawn, token);
  const share = lot.slice(0, 6).reduce((sum, byte) => sum * 256 + byte, 0) / 2 ** 48;
  const wanted = 1 + share * (one.of - 1);
  const spread = Math.sqrt(share * (1 - share) * (one.of - 1));
  return {
    commitment: hexOf(await sha(told)) === commitment,
    beacon: (beaconSignature ? hexOf(await sha(bytesOf(beaconSignature))) : "") === (beacon ?? ""),
    seed: hexOf(await sha(told, tree, bytesOf(beacon ?? ""))) === seed,
    leaf: isMine && isWhole && (await isIn(one, root ?? "")),
    number_: one.number >= 1 && one.number <= one.of && Math.abs(one.number - wanted) <= 6 * spread + 1,
  };
}

/**
 * Checks the draw of a place, or before the opening notes what it is committed to.
 * @param {{token: string, queueId: string}} place
 * @param {AbortSignal} signal
 * @returns {Promise<Node>} what came of it
 */
export async function check({ token, queueId }, signal) {
  const words = WORDS[language];
  /** @type {Draw} */
  const draw = await ask(`/v1/queues/${encodeURIComponent(queueId)}/draw`, { signal });
  const name = `draw.${queueId}`;
  const [rootName, roundName] = [`${name}.root`, `${name}.round`];
  const [noted, notedRoot, notedRound] = [recall(name), recall(rootName), recall(roundName)];
  // A server of an earlier release tells of no beacon.
  const round = draw.beaconRound == null ? "" : count(draw.beaconRound);
  const announced = `${draw.beaconChain} ${draw.beaconRound}`;
  const beaconAt = Date.parse(draw.beaconAt ?? "");
  if (draw.seed === null) {
    remember(name, noted ?? draw.commitment);
    if (round !== "") remember(roundName, notedRound ?? announced);
    if (draw.root != null) {
      // One that is told when the round is known binds nobody.
      if (now() < beaconAt) remember(rootName, notedRoot ?? draw.root);
      return told(h("p", null, words.waits(count(draw.registered), round)));
    }
    return told(h("p", null, words.noted), h("p", null, h("code", null, noted ?? draw.commitment)));
  }
  /** @type {TokenDraw} */
  const one = await ask(`/v1/tokens/${encodeURIComponent(token)}/draw`, { signal });
  // Without a secure context there is no `crypto.subtle`.
  if (!crypto.subtle)
    return told(h("p", null, words.number(count(one.number), count(one.of))), h("p", null, words.cannot));
  const found = await verified(draw, one);
  const line = (/** @type {string} */ name, /** @type {boolean} */ isRight) =>
    h("li", null, h("span", { class: "grow" }, name), h("strong", null, isRight ? words.good : words.bad));
  const names = /** @type {const} */ (["commitment", "seed", "leaf", "number_"]);
  const isUsed = draw.beaconSignature != null;
  const isLate = isUsed && !(Date.parse(draw.rootAt ?? "") < beaconAt);
  return told(
    h("p", null, words.number(count(one.number), count(one.of))),
    round !== "" &&
      h("p", null, isUsed ? words.round(round, (draw.beaconChain ?? "").slice(0, 8)) : words.unused(round)),
    isLate && h("p", null, words.late),
    h(
      "ul",
      { class: "list" },
      names.map((name) => line(words[name], found[name])),
      round !== "" && line(words.beacon, found.beacon),
      notedRoot !== null && line(words.sameRoot, notedRoot === draw.root),
      notedRound !== null && line(words.sameRound, notedRound === announced),
      noted !== null && line(words.same, noted === draw.commitment),
    ),
    noted === null && h("p", { class: "faint" }, words.notNoted),
  );

  /** @param {...import("./dom.js").Child} children */
  function told(...children) {
    return h("section", { class: "notice", "aria-label": words.title, role: "status" }, ...children);
  }
}
