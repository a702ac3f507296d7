// What whoever has signed in may do, as their token says it. Nothing depends on it but what is offered: the
// server decides.

import { claimOf, isSecured, person } from "../person.js";

/** The path to the claim that names the roles; empty where nobody is asked who they are. */
const claim = document.documentElement.dataset.roles ?? "";

/** The roles that run a sale. */
const ROLES = ["operator", "cashier", "support"];

/** @returns {string[]} all of them where nobody is asked */
export function roles() {
  if (!isSecured) return ROLES;
  const told = claimOf(person()?.bearer ?? "", claim);
  const words = typeof told === "string" ? told.split(/\s+/) : told;
  return Array.isArray(words) ? ROLES.filter((role) => words.includes(role)) : [];
}

/** Whether the person has one of these roles. @param {...string} any */
export const may = (...any) => roles().some((role) => any.includes(role));

/** Whether anything here is for the person, once they have signed in. */
export const isKnown = () => !isSecured || person() !== null;
