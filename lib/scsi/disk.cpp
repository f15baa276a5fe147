// SPDX-License-Identifier: Apache-2.0
// Dispatch, the checks before a command's handler, and the commands about the unit itself.
#include "lib/scsi/disk.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "lib/scsi/cdb.h"
#include "lib/scsi/thresholds.h"

namespace ballast::scsi {
namespace {

Range range_of(RangeAt at, std::span<const std::uint8_t> cdb) {
  if (at == RangeAt::nowhere) {
    return {};
  }
  const std::size_t length = cdb_length(cdb[0]);
  if (length == 16) {
    const std::uint64_t count = at == RangeAt::usual         ? be32(cdb, 10)
                                : at == RangeAt::short_count ? cdb[13]
                                                             : 0;
    return {Lba{be64(cdb, 2)}, BlockCount{count}};
  }
  if (length == 10) {
    return {Lba{be32(cdb, 2)}, BlockCount{be16(cdb, 7)}};
  }
  if (length == 12) {
    return {Lba{be32(cdb, 2)}, BlockCount{be32(cdb, 6)}};
  }
  return {Lba{be24(cdb, 1) & 0x1fffff}, BlockCount{cdb[4] == 0 ? 256u : cdb[4]}};
}

constexpr backend::Access always_active = backend::Access::active;

}  // namespace

Disk::Disk(volume::Volume& volume, DiskConfig config)
    : volume_{volume},
      executor_{volume.executor()},
      config_{std::move(config)},
      access_{config_.shared != nullptr ? &config_.shared->access() : &always_active},
      largest_transfer_{std::max(config_.max_transfer_blocks, config_.tolerated_transfer_blocks)},
      modes_{volume.capabilities().volatile_cache,
             volume.capabilities().volatile_cache && !volume.capabilities().write_through,
             volume.capabilities().room ? std::optional<std::uint32_t>{0} : std::nullopt,
             config_.mode_keeper != nullptr},
      mode_changes_{executor_, "its turn to change the modes"},
      copy_buffers_{executor_, "a buffer to copy with"},
      source_buffers_{executor_, "a buffer to copy from another LUN with"} {
  if (config_.kept_modes.has_value()) {
    modes_.restore(*config_.kept_modes);
  }
  BALLAST_ASSERT(volume.capacity().value() > 0);
  BALLAST_ASSERT(config_.physical_block_exponent <= 15);
  BALLAST_ASSERT(config_.write_same_max >= volume.logical_block());
  BALLAST_ASSERT(config_.unmap_descriptors >= 1 && config_.unmap_descriptors <= 64);
  BALLAST_ASSERT(config_.unmap_max >= volume.logical_block());
  if (largest_transfer_ == 0) {
    largest_transfer_ = UINT32_MAX;
  }
  if (config_.shared != nullptr) {
    config_.shared->set_group(config_.groups.own_group);
  }
}

Disk::Judgement Disk::judge(Command& command) {
  command.transferred = 0;
  command.sense_length = 0;
  const std::uint8_t opcode = command.cdb.empty() ? std::uint8_t{0xff} : command.cdb[0];
  const std::uint8_t action = command.cdb.size() < 2
                                  ? std::uint8_t{0}
                                  : static_cast<std::uint8_t>(command.cdb[1] & service_action_mask);
  bool other_service_action = false;
  const Operation* const operation = find_operation(opcode, action, &other_service_action);
  if (operation == nullptr || !supports(*operation)) {
    other_service_action = other_service_action || serves_opcode(opcode);
    return {nullptr, fail(command, other_service_action
                                       ? invalid_field_in_cdb(1, 4)
                                       : illegal_request(asc::invalid_command_operation_code))};
  }
  const std::optional<Status> refused = refuse(command, *operation);
  if (refused.has_value()) {
    return {nullptr, *refused};
  }
  command.range = range_of(operation->range, command.cdb);
  const bool at_once = operation->immediate != nullptr &&
                       (operation->suspending == nullptr || !changes_modes_late(command));
  return {.operation = operation, .at_once = at_once};
}

co::Task<Status> Disk::execute(Command& command) {
  const Judgement judgement = judge(command);
  if (judgement.operation == nullptr) {
    return answer(judgement.refusal);
  }
  if (judgement.at_once) {
    return answer(answer_at_once(command, *judgement.operation));
  }
  co::Task<IoStatus> transfer = begin_transfer(command, *judgement.operation);
  return transfer.empty() ? carry_out(command, *judgement.operation)
                          : await_transfer(command, *judgement.operation, std::move(transfer));
}

co::Task<Status> Disk::await_transfer(Command& command, const Operation& operation,
                                      co::Task<IoStatus> transfer) {
  const IoStatus status = co_await std::move(transfer);
  co_return end_transfer(command, operation, status);
}

co::Task<Status> Disk::answer(Status status) {
  co_return status;
}

// WRITE AND VERIFY reads only what it has just written, so it goes where its change goes.
volume::Tier Disk::tier_with_log(const Command& command, const Operation& operation) const {
  const bool compares = operation.suspending == &Disk::compare_and_write;
  const bool looks =
      operation.transfer == Transfer::read || operation.suspending == &Disk::verify || compares;
  const bool changes = operation.changes_medium || operation.flushes || operation.changes_modes ||
                       operation.suspending == &Disk::start_stop_unit;
  if (operation.suspending == &Disk::extended_copy) {
    return volume::Tier::store;  // what it reads may be there
  }
  volume::Tier tier = looks || changes ? volume::Tier::log : volume::Tier::store;
  if (looks) {
    const Range range = command.range;
    const bool inside = fits(range.lba.value(), range.count.value(), volume_.capacity());
    if (inside) {  // else it is refused, which needs nothing of the store
      tier = volume_.tier_of({range.lba, range.count});
    }
  }
  if (changes) {
    tier = volume::slower(tier, volume_.tier_of({}));
  }
  return tier;
}

bool Disk::supports(const Operation& operation) const {
  switch (operation.needs) {
    case Needs::nothing:
      return true;
    case Needs::unmap:
      return unmaps();
    case Needs::block_status:
      return unmaps() && volume_.capabilities().block_status;
    case Needs::kernel_reserves:
      return config_.kernel_reserves;
    case Needs::groups:
      return has_groups();
    case Needs::name:
      return has_name();
  }
  return false;
}

bool Disk::has_opcode(std::span<const Operation> rows, std::uint8_t opcode) const {
  return std::ranges::any_of(rows, [&](const Operation& operation) {
    return operation.opcode == opcode && supports(operation);
  });
}

bool Disk::serves_opcode(std::uint8_t opcode) const {
  return has_opcode(operations(), opcode);
}

bool Disk::reports_opcode(std::uint8_t opcode) const {
  return serves_opcode(opcode) || has_opcode(kernel_operations(), opcode);
}

std::uint8_t Disk::usage(const Operation& operation, std::size_t byte) const {
  constexpr std::uint8_t unmap_bit = 0x08;
  const bool is_write_same = operation.suspending == &Disk::write_same;
  if (is_write_same && byte == 1 && !write_same_unmaps()) {
    return static_cast<std::uint8_t>(operation.usage[1] & ~unmap_bit);
  }
  return operation.usage[byte];
}

Status Disk::answer_becoming_ready(Command& command) {
  const Judgement judgement = judge(command);
  if (judgement.operation == nullptr) {
    return judgement.refusal;
  }
  const Operation& operation = *judgement.operation;
  if (operation.immediate == &Disk::inquiry) {
    return inquiry(command);
  }
  if (operation.immediate == &Disk::test_unit_ready ||
      operation.suspending == &Disk::start_stop_unit) {
    return fail(command, Sense{.key = SenseKey::not_ready, .what = asc::becoming_ready});
  }
  return Status::busy;
}

Status Disk::answer_refused(Command& command) {
  const Judgement judgement = judge(command);
  if (judgement.operation == nullptr) {
    return judgement.refusal;
  }
  if (judgement.operation->immediate == &Disk::inquiry) {
    return inquiry(command);
  }
  return fail(command,
              Sense{.key = SenseKey::not_ready, .what = asc::manual_intervention_required});
}

std::optional<Status> Disk::refuse(Command& command, const Operation& operation) {
  if (attention_count_ > 0 && operation.answers_unit_attention) {
    const Sense attention = take_unit_attention();
    return fail(command, attention);
  }
  const std::optional<Status> bits = refuse_bits(command, operation);
  if (bits.has_value()) {
    return bits;
  }
  if (*access_ != backend::Access::active && !operation.in_standby) [[unlikely]] {
    return fail(command, not_ready());
  }
  if (stopped_ && operation.needs_medium) {
    return fail(command,
                Sense{.key = SenseKey::not_ready, .what = asc::initializing_command_required});
  }
  if (operation.changes_medium && write_protected()) {
    return fail(command, Sense{.key = SenseKey::data_protect,
                               .what = hardware_write_protected() ? asc::write_protected
                                                                  : asc::software_write_protected});
  }
  return std::nullopt;
}

std::optional<Status> Disk::refuse_bits(Command& command, const Operation& operation) {
  const std::size_t length = cdb_length(operation.opcode);
  if (command.cdb.size() < length) {
    return fail(command, invalid_field_in_cdb(command.cdb.size()));
  }
  // Check all bytes at once, because every read and write pays for this. This LUN's map can differ
  // from the table's only in byte 1.
  std::array<std::uint8_t, 16> cdb{};
  std::copy_n(command.cdb.begin(), length, cdb.begin());
  using Halves = std::array<std::uint64_t, 2>;
  const auto given = std::bit_cast<Halves>(cdb);
  const auto allowed = std::bit_cast<Halves>(operation.usage);
  if (((given[0] & ~allowed[0]) | (given[1] & ~allowed[1])) == 0 &&
      (cdb[1] & ~usage(operation, 1)) == 0) {
    return std::nullopt;
  }
  for (std::size_t i = 1; i < length; ++i) {
    const auto bad = static_cast<std::uint8_t>(cdb[i] & ~usage(operation, i));
    if (bad != 0) {
      // The pointer must name the field's most significant bit. RDPROTECT and similar fields are
      // the top three bits.
      const bool protection = i == 1 && (bad & 0xe0) != 0;
      return fail(command, invalid_field_in_cdb(i, protection ? 7 : std::bit_width(bad) - 1));
    }
  }
  return std::nullopt;
}

Status Disk::fail(Command& command, const Sense& sense) {
  BALLAST_ASSERT(command.sense.size() >= sense_size);
  command.transferred = 0;
  command.sense_length = encode(sense, modes_.descriptor_sense(), command.sense);
  return Status::check_condition;
}

Status Disk::finish(Command& command, IoStatus status, Lba from, bool changes) {
  Sense sense;
  switch (status) {
    case IoStatus::ok:
      return Status::good;
    case IoStatus::no_resource:
      return Status::task_set_full;
    case IoStatus::cancelled:
      return Status::busy;
    case IoStatus::medium_error:
      ++(changes ? write_errors_ : read_errors_);
      sense.key = SenseKey::medium_error;
      sense.what = changes ? asc::write_error : asc::unrecovered_read_error;
      // The backend does not say which block failed. So the first block is reported, and none from
      // there on can be trusted.
      sense.information = from.value();
      break;
    case IoStatus::no_space:
      sense.key = SenseKey::data_protect;
      sense.what = asc::space_allocation_failed;
      break;
    case IoStatus::write_protected:
      sense.key = SenseKey::data_protect;
      sense.what = asc::write_protected;
      break;
    case IoStatus::out_of_range:
      sense.key = SenseKey::illegal_request;
      sense.what = asc::lba_out_of_range;
      break;
    case IoStatus::not_ready:
      sense = not_ready();
      break;
    case IoStatus::not_supported:
      sense.key = SenseKey::hardware_error;
      sense.what = asc::internal_target_failure;
      break;
  }
  return fail(command, sense);
}

Status Disk::finish(Command& command, const volume::Comparison& found, Lba from, bool changes) {
  if (!ok(found.status) || !found.difference.has_value()) {
    return finish(command, found.status, from, changes);
  }
  return fail(command, Sense{.key = SenseKey::miscompare,
                             .what = asc::miscompare_during_verify,
                             .information = found.difference});
}

Status Disk::reply(Command& command, std::span<const std::uint8_t> data,
                   std::size_t allocation_length) {
  const std::size_t length = std::min({data.size(), allocation_length, command.data.size()});
  io::copy(command.data.slice(0, length), std::as_bytes(data.first(length)));
  command.transferred = length;
  return Status::good;
}

void Disk::post_unit_attention(AdditionalSense what) {
  const auto end = attentions_.begin() + static_cast<std::ptrdiff_t>(attention_count_);
  if (std::find(attentions_.begin(), end, what) != end) {
    return;
  }
  if (attention_count_ == attentions_.size()) {
    std::move(attentions_.begin() + 1, attentions_.end(), attentions_.begin());
    --attention_count_;
  }
  attentions_[attention_count_++] = what;
}

Sense Disk::take_unit_attention() {
  Sense sense{.key = SenseKey::unit_attention, .what = attentions_[0]};
  if (sense.what == asc::soft_threshold_reached) {
    sense.information = ModePages::threshold_at;  // SBC-4, 4.7.3.7.6
  }
  std::move(attentions_.begin() + 1, attentions_.end(), attentions_.begin());
  --attention_count_;
  return sense;
}

void Disk::set_soft_threshold(Bytes free) {
  if (modes_.has_threshold()) {
    modes_.set_threshold(sets_in(Bytes{free.value() + threshold_set.value() - 1}));
  }
}

Status Disk::test_unit_ready(Command& command) {
  if (stopped_) {
    return fail(command,
                Sense{.key = SenseKey::not_ready, .what = asc::initializing_command_required});
  }
  return Status::good;
}

Status Disk::request_sense(Command& command) {
  const bool descriptor_format = (command.cdb[1] & 0x01) != 0;
  Sense sense;
  if (attention_count_ > 0) {
    sense = take_unit_attention();
  } else if (stopped_) {
    sense = Sense{.key = SenseKey::not_ready, .what = asc::initializing_command_required};
  } else if (statistics().stalled) {
    sense.what =
        asc::warning;  // as the mode page Informational Exceptions Control says: on request
  }
  std::array<std::uint8_t, sense_size> data;
  const std::size_t length = encode(sense, descriptor_format, data);
  return reply(command, std::span{data}.first(length), command.cdb[4]);
}

// With IMMED it is answered only when the work is done, too. The usage map refuses POWER CONDITION
// and LOEJ: there are no power conditions here, and the medium cannot be ejected.
co::Task<Status> Disk::start_stop_unit(Command& command) {
  const bool start = (command.cdb[4] & 0x01) != 0;
  const bool no_flush = (command.cdb[4] & 0x04) != 0;
  const std::uint64_t turn = ++start_stops_;
  IoStatus status = IoStatus::ok;
  if (!start && !no_flush) {
    status = co_await volume_.flush(request_of(command));
  }
  if (ok(status) && request_of(command).stopped()) {
    status = IoStatus::cancelled;  // answered BUSY, or soon will be: it must have no effect
  }
  // If a newer one was carried out meanwhile, this one counts as done before it.
  if (ok(status) && turn > start_stop_done_) {
    start_stop_done_ = turn;
    stopped_ = !start;
  }
  co_return finish(command, status, Lba{0}, true);
}

// The default self-test (SPC-5, 6.43) reads the first block and the last one.
co::Task<Status> Disk::send_diagnostic(Command& command) {
  const bool tests = (command.cdb[1] & 0x04) != 0;
  if (!tests) {
    co_return Status::good;
  }
  for (const Lba lba : {Lba{0}, Lba{volume_.capacity().value() - 1}}) {
    const IoStatus status = co_await volume_.verify(request_of(command), lba, BlockCount{1});
    if (!ok(status)) {
      const Status ended = finish(command, status, lba, false);
      co_return status == IoStatus::medium_error
          ? fail(command, Sense{.key = SenseKey::hardware_error, .what = asc::failed_self_test})
          : ended;
    }
  }
  co_return Status::good;
}

}  // namespace ballast::scsi
