//! The real binary, with the real AWS SDK, against moto over HTTP. One program, so that what waits in one file runs beside what computes in
//! another.

mod answers;
mod doctor;
mod endpoint;
mod job;
mod later;
mod places;
mod policy;
mod prices;
mod proxies;
mod stop;
mod studio;
mod terminal;
