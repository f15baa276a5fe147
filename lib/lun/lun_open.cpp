// SPDX-License-Identifier: Apache-2.0
// Gives a LUN its store, and makes the disk and the task set that take its commands.
#include <bit>
#include <cerrno>
#include <new>
#include <utility>

#include "lib/backend/absent.h"
#include "lib/base/log.h"
#include "lib/lun/lun.h"

namespace ballast::lun {
namespace {

unsigned physical_block_exponent(Bytes logical_block, Bytes physical_block) {
  if (physical_block <= logical_block) {
    return 0;
  }
  return static_cast<unsigned>(std::countr_zero(physical_block.value()) -
                               std::countr_zero(logical_block.value()));
}

}  // namespace

void Lun::use(backend::Store store) {
  try {
    start_using(std::move(store));
  } catch (const std::bad_alloc&) {
    backend_.reset();
    throw;
  }
}

// If memory runs out, the backend is there and nothing else: it may have to be closed.
void Lun::start_using(backend::Store store) {
  try {
    backend_ = std::move(store.backend);
    if (backend::is_wanted(setup_.config.elevator, backend_->geometry())) {
      elevator_ = std::make_unique<backend::Elevator>(executor_, setup_.config.elevator,
                                                      setup_.config.queue_depth);
    }
    volume_ = std::make_unique<volume::Volume>(
        *backend_, volume::VolumeConfig{.logical_block = setup_.logical_block,
                                        .capacity = setup_.capacity,
                                        .queue_depth = setup_.config.queue_depth,
                                        .elevator = elevator_.get(),
                                        .fence_seed = setup_.fence_seed,
                                        .unheard_flush = std::move(store.unheard_flush)});
    store_ = backend_->description();
    store_wait_.use(*backend_);
    executor_.post(co::Message{.run = &start_room_watch, .context = this});
    if (backend_->shared() != nullptr) {
      executor_.post(co::Message{.run = &start_shared, .context = this});
    }
  } catch (const std::bad_alloc&) {
    volume_.reset();
    elevator_.reset();
    throw;
  }
  log(LogLevel::info, "{}: open: {}, {} blocks of {} bytes, transfers up to {} blocks", name(),
      store_, setup_.capacity.value(), setup_.logical_block.value(), setup_.max_transfer_blocks);
}

void Lun::wait_for(std::unique_ptr<backend::StoreSource> source) {
  source_ = std::move(source);
  not_opening_.reset();
  closing_.spawn("becoming ready", become_ready());
}

co::Task<void> Lun::become_ready() {
  co_await find_store();
  source_.reset();
  not_opening_.set();
}

co::Task<void> Lun::find_store() {
  for (;;) {
    const bool leaving = co_await leaving_.wait_until(executor_.now() + look_interval);
    if (leaving) {
      co_return;
    }
    const backend::StoreSource::State state = source_->state();
    if (state == backend::StoreSource::State::found) {
      const bool usable = co_await finish_store();
      if (!usable) {
        co_return;
      }
    }
    if (state == backend::StoreSource::State::found ||
        state == backend::StoreSource::State::opened) {
      co_await use_found();
      co_return;
    }
    if (state == backend::StoreSource::State::refused) {
      refuse_with_its_reason();
      co_return;
    }
  }
}

void Lun::refuse_with_its_reason() {
  try {
    refuse(source_->error().message);
  } catch (const std::bad_alloc&) {
    refuse("out of memory");
  }
}

co::Task<bool> Lun::finish_store() {
  const Result<void> finished = co_await source_->finish(executor_, no_store_.token());
  if (!finished.ok() && finished.error().errno_value != ECANCELED) {
    refuse(finished.error().message);
  }
  co_return finished.ok();
}

void Lun::refuse(std::string_view why) {
  refused_ = true;
  log(LogLevel::error,
      "{}: cannot be opened: {}; delete the backstore and create it anew (the data stays)", name(),
      why);
}

co::Task<void> Lun::use_found() {
  try {
    start_using(source_->take());
    co_return;
  } catch (const std::bad_alloc&) {
    refuse("out of memory");
  }
  const std::unique_ptr<backend::Backend> useless = std::move(backend_);
  if (useless != nullptr) {
    co_await useless->close();
  }
}

void Lun::start_room_watch(void* self, std::int64_t) {
  Lun& lun = *static_cast<Lun*>(self);
  try {
    lun.room_watch_.watch(*lun.backend_, [&lun](bool reached) { lun.looked_at_room(reached); });
  } catch (const std::bad_alloc&) {
    log(LogLevel::warning, "{}: out of memory, so nobody watches how much room its store has",
        lun.name());
  }
}

void Lun::looked_at_room(bool threshold_reached) {
  if (disk_ == nullptr) {
    return;  // make_task_set tells it
  }
  disk_->set_room(room_watch_.room());
  if (threshold_reached) {
    disk_->post_unit_attention(scsi::asc::soft_threshold_reached);
  }
}

// Does nothing until both the store and the identity are there. If memory runs out, the next
// command tries again.
void Lun::make_task_set() {
  if (volume_ == nullptr || !identity_.has_value()) {
    return;
  }
  try {
    scsi::DiskConfig config = disk_config(backend_->geometry());
    config.shared = backend_->shared();
    config.kept_modes = setup_.modes;
    config.mode_keeper = kept_modes_.keeps() ? &kept_modes_ : nullptr;
    config.copy_sources = &copy_reads_;
    disk_ = std::make_unique<scsi::Disk>(*volume_, std::move(config));
    if (expected_ != nullptr && !disk_->looks_like(expected_->disk)) {
      disk_->post_unit_attention(scsi::asc::inquiry_data_has_changed);
    }
    offer_to_copies({});
    task_set_ = std::make_unique<scsi::TaskSet>(*disk_, front_end_, buffers_, slow_log_,
                                                stalled_luns_, limits(), setup_.sabotage);
    disk_->set_room(room_watch_.room());
    disk_->set_soft_threshold(setup_.config.soft_threshold);
    if (room_watch_.is_below()) {
      disk_->post_unit_attention(scsi::asc::soft_threshold_reached);
    }
    expected_.reset();
  } catch (const std::bad_alloc&) {
    disk_.reset();
  }
}

void Lun::offer_to_copies(std::string_view unit_serial) {
  const std::string_view its = identity_.has_value() ? identity_->unit_serial : unit_serial;
  if (volume_ != nullptr && !its.empty()) {
    copy_reads_.offer(setup_.config.copy_group, scsi::naa_of(its), *volume_);
  }
}

// Makes expected_. If memory runs out, or the LUN is not identified yet, the next command tries
// again.
void Lun::expect() {
  if (expected_ != nullptr || !identity_.has_value()) {
    return;
  }
  const Bytes block = setup_.logical_block;
  try {
    auto absent =
        backend::make_absent(executor_, Bytes{setup_.capacity.value() * block.value()}, block);
    scsi::DiskConfig config = disk_config(absent->geometry());
    expected_ = std::make_unique<Expected>(std::move(absent), block, std::move(config));
  } catch (const std::bad_alloc&) {
    // expected_ stays null
  }
}

scsi::DiskConfig Lun::disk_config(const backend::Geometry& geometry) const {
  scsi::DiskConfig config;
  config.product = setup_.name;
  config.unit_serial = identity_->unit_serial;
  config.physical_block_exponent =
      physical_block_exponent(setup_.logical_block, geometry.physical_block);
  config.max_transfer_blocks = setup_.max_transfer_blocks;
  config.tolerated_transfer_blocks = setup_.tolerated_transfer_blocks;
  config.kernel_reserves = identity_->kernel_reserves;
  config.write_same_max = setup_.config.write_same_max;
  config.groups = groups_;
  return config;
}

}  // namespace ballast::lun
