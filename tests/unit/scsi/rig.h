// SPDX-License-Identifier: Apache-2.0
// A disk over a volume over a spy backend: send() runs one command to its end. Include this file
// before tests/cmocka.h.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/scsi/cdb.h"
#include "lib/scsi/disk.h"
#include "tests/unit/volume/rig.h"

namespace ballast::test {

using Bytes8 = std::vector<std::uint8_t>;

// A CDB in the usual layout of its group: flags in byte 1, LBA, count. All other bytes are zero.
inline Bytes8 cdb_of(std::uint8_t opcode, std::uint8_t flags, std::uint64_t lba,
                     std::uint64_t count) {
  Bytes8 cdb(scsi::cdb_length(opcode));
  cdb[0] = opcode;
  switch (cdb.size()) {
    case 6:
      put_big_endian<3>(cdb, 1, lba & 0x1fffff);
      cdb[4] = static_cast<std::uint8_t>(count);
      break;
    case 10:
      put32(cdb, 2, lba);
      put16(cdb, 7, count);
      break;
    case 12:
      put32(cdb, 2, lba);
      put32(cdb, 6, count);
      break;
    default:
      put64(cdb, 2, lba);
      put32(cdb, 10, count);
  }
  cdb[1] |= flags;
  return cdb;
}

struct Answer {
  bool ended = false;
  scsi::Status status = scsi::Status::busy;
  Bytes8 data;   // the whole buffer afterwards
  Bytes8 reply;  // its first `transferred` bytes
  Bytes8 sense;  // valid bytes
  std::size_t transferred = 0;

  bool good() const { return ended && status == scsi::Status::good && sense.empty(); }
  // CHECK CONDITION with this sense, in fixed format.
  bool failed(scsi::SenseKey key, scsi::AdditionalSense what) const {
    return ended && status == scsi::Status::check_condition && sense.size() == 18 &&
           sense[0] % 0x80 == 0x70 && sense[2] == static_cast<std::uint8_t>(key) &&
           sense[12] == what.code && sense[13] == what.qualifier;
  }
  bool illegal(scsi::AdditionalSense what) const {
    return failed(scsi::SenseKey::illegal_request, what);
  }
  // ILLEGAL REQUEST whose field pointer is at this byte of the CDB (or list), and at this bit
  // unless that is below 0.
  bool bad_field(std::size_t byte, int bit = -1) const {
    return illegal(scsi::asc::invalid_field_in_cdb) && points_at(0xc0, byte, bit);
  }
  bool bad_parameter(std::size_t byte, int bit = -1) const {
    return illegal(scsi::asc::invalid_field_in_parameter_list) && points_at(0x80, byte, bit);
  }
  std::optional<std::uint64_t> information() const {
    if (sense.size() != 18 || sense[0] != 0xf0) {
      return std::nullopt;
    }
    return be32(sense, 3);
  }

 private:
  bool points_at(std::uint8_t kind, std::size_t byte, int bit) const {
    const bool bit_fits = bit < 0 || (sense[15] & 0x0f) == (0x08 | bit);
    return (sense[15] & 0xc0) == kind && be16(sense, 16) == byte && bit_fits;
  }
};

// A store that another gateway may own. What is asked of it ends with `ends`, once `gate` is set.
class FakeShared final : public backend::SharedStore {
 public:
  explicit FakeShared(co::Executor& executor) : gate{executor}, executor_{executor} { gate.set(); }

  co::Executor& executor() override { return executor_; }
  void start(backend::AccessWatcher& watcher) override { watcher_ = &watcher; }
  // Tells it to the LUN, as of a change that no initiator has asked for.
  void becomes(backend::Access access) {
    now = access;
    watcher_->access_changed(false);
  }
  const backend::Access& access() const override { return now; }
  backend::StoreOwner owner() const override { return has_it; }
  const char* condition() const override { return ""; }
  std::string trouble() const override { return ""; }
  co::Task<backend::Move> take_over(backend::Asker, TimePoint until, co::CancelToken) override {
    return move(backend::Access::active, until);
  }
  co::Task<backend::Move> give_back(backend::Asker, TimePoint until, co::CancelToken) override {
    return move(backend::Access::standby, until);
  }
  void set_group(std::uint16_t group) override { own_group = group; }

  co::Event gate;
  backend::Access now = backend::Access::active;
  backend::StoreOwner has_it{};
  backend::Move ends = backend::Move::done;
  std::uint16_t own_group = 0;
  unsigned asked = 0;

 private:
  co::Task<backend::Move> move(backend::Access to, TimePoint until) {
    ++asked;
    const bool open = co_await gate.wait_until(until);
    if (!open) {
      co_return backend::Move::under_way;
    }
    now = ends == backend::Move::done ? to : now;
    co_return ends;
  }
  co::Executor& executor_;
  backend::AccessWatcher* watcher_ = nullptr;
};

class DiskRig : public VolumeRig {
 public:
  // The store is shared if the configuration has groups.
  explicit DiskRig(scsi::DiskConfig config = {}, Bytes size = Bytes{4 << 20},
                   const volume::VolumeConfig& volume_config = {}, const Pretend& pretend = {})
      : VolumeRig{size, volume_config, pretend}, shared{executor} {
    config.shared = config.groups.empty() ? nullptr : &shared;
    disk = std::make_unique<scsi::Disk>(*volume, std::move(config));
  }
  DiskRig(const DiskRig&) = delete;
  ~DiskRig() { disk.reset(); }

  // `data`: the whole buffer, with the data-out, or with room for the data-in.
  Answer send(const Bytes8& cdb, const Bytes8& data = {}, std::size_t segment = 0) {
    const Data buffer{data, segment};
    // Exactly as long as the CDB says, so that reading beyond it is noticed.
    const std::unique_ptr<std::uint8_t[]> exact{new std::uint8_t[cdb.size()]};
    std::copy(cdb.begin(), cdb.end(), exact.get());
    std::array<std::uint8_t, scsi::sense_size> sense{};
    scsi::Command command;
    command.sense = sense;
    command.cdb = {exact.get(), cdb.size()};
    command.data = buffer.view();
    const std::optional<scsi::Status> status = wait_for(disk->execute(command));
    Answer answer;
    answer.ended = status.has_value();
    answer.status = status.value_or(scsi::Status::busy);
    answer.data = buffer.bytes();
    answer.transferred = command.transferred;
    answer.reply.assign(answer.data.begin(),
                        answer.data.begin() + static_cast<std::ptrdiff_t>(command.transferred));
    answer.sense.assign(command.sense.begin(),
                        command.sense.begin() + static_cast<std::ptrdiff_t>(command.sense_length));
    return answer;
  }
  // A command with data-in of at most `room` bytes.
  Answer ask(const Bytes8& cdb, std::size_t room = 512) { return send(cdb, Bytes8(room, 0xa5)); }

  FakeShared shared;
  std::unique_ptr<scsi::Disk> disk;
};

inline scsi::DiskConfig usual_config() {
  scsi::DiskConfig config;
  config.product = "vol0";
  config.unit_serial = "3d2f0e1c-77aa-4b55-9c01-0123456789ab";
  config.physical_block_exponent = 3;
  config.max_transfer_blocks = 2048;
  return config;
}

// Two gateways, of which the commands come through the first.
inline scsi::TargetPortGroups two_groups() {
  return {
      .all = {{.id = 1, .ports = {11}}, {.id = 2, .ports = {22}}}, .own_group = 1, .own_port = 11};
}
inline scsi::DiskConfig with_groups() {
  scsi::DiskConfig config = usual_config();
  config.groups = two_groups();
  return config;
}

// A store like a file: a volatile cache, no FUA of its own.
inline void like_a_file(SpyBackend& spy) {
  spy.pretend().fua = false;
  spy.pretend().volatile_cache = true;
}

// It tells how much room it has.
inline void thin(SpyBackend& spy) {
  like_a_file(spy);
  spy.pretend().room = true;
}

inline void without_unmap(SpyBackend& spy) {
  spy.pretend().discard = false;
  spy.pretend().discard_zeroes = false;
  spy.pretend().zero_unmaps = false;
  spy.pretend_geometry().discard_granularity = Bytes{};
}

}  // namespace ballast::test
