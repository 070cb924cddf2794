//! The driver, and an HMAC by a loaded key under a created parent, authorized by passwords. Password authorizations do not cover
//! names, so the program needs none.
#![no_std]
#![no_main]

use chanbind_size::{Pin, Spi, Timer, identity, program};
use chanbind_tpm_spi::{
    Contexts, Tpm,
    blocking::run,
    command::{CreatePrimary, Entity, Hmac, Load, Template},
    session::Password,
    tis::{ExclusiveBus, Tis},
};

async fn hmac(buffer: &mut [u8]) -> Option<u32> {
    let (private, public, _) = identity();
    let bus = ExclusiveBus::new(Spi, Pin);
    let chip = Tis::builder(bus, Timer).open().await.ok()?;
    let mut contexts = Contexts::new();
    let mut tpm = Tpm::new(chip, buffer, &mut contexts);
    let create = CreatePrimary {
        hierarchy: &Entity::OWNER,
        template: Template::H2,
    };
    let created = tpm
        .execute(&create, &mut [&mut Password::empty()])
        .await
        .ok()?;
    let parent = Entity::named_by_handle(created.handle);
    let load = Load {
        parent: &parent,
        private: &private,
        public: &public,
    };
    let loaded = tpm
        .execute(&load, &mut [&mut Password::empty()])
        .await
        .ok()?;
    let key = Entity::named_by_handle(loaded.handle);
    let command = Hmac {
        key: &key,
        data: &[&[7; 32]],
    };
    let hmac = tpm
        .execute(&command, &mut [&mut Password::empty()])
        .await
        .ok()?;
    Some(u32::from_be_bytes(*hmac.first_chunk()?))
}

program!(run(hmac(&mut [0; 512])).unwrap_or(1));
