// SPDX-License-Identifier: Apache-2.0
// The device server of one LUN: a direct-access block device (SBC-4, SPC-5) over a Volume.
//
//   scsi::Disk disk{volume, config};
//   const scsi::Status status = co_await disk.execute(command);   // sense is in the command
//
// What it claims (INQUIRY, VPD pages, mode pages, REPORT SUPPORTED OPERATION CODES) comes from the
// same tables and limits that judge commands. REPORT LUNS and reservations are reported, but not
// here: the kernel's target core answers them before a command reaches us.
//
// The volume outlives the disk, the disk its commands. Driving thread of the volume's executor
// only. Any number of commands may be under way; between them the disk orders nothing but COMPARE
// AND WRITE. Backend results become sense data here and nowhere else (finish).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/units.h"
#include "lib/co/task.h"
#include "lib/scsi/command.h"
#include "lib/scsi/mode_pages.h"
#include "lib/scsi/opcode_table.h"
#include "lib/scsi/sense.h"
#include "lib/volume/volume.h"

namespace ballast::scsi {

struct DiskConfig {
  std::string vendor = "BALLAST";  // T10 VENDOR IDENTIFICATION: 8 ASCII bytes, padded
  std::string product = "DISK";    // PRODUCT IDENTIFICATION: 16, the backstore's name, say
  std::string revision = "0001";   // PRODUCT REVISION LEVEL: 4
  // The unit serial number from configfs (wwn/vpd_unit_serial): VPD page 80, and in page 83 the
  // NAA designator that is made of it (naa.h). Up to 252 ASCII bytes; empty: no designator, and
  // by-id links and multipath do not work.
  std::string unit_serial;
  // LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT; more than 15 is a bug.
  unsigned physical_block_exponent = 0;
  // MAXIMUM TRANSFER LENGTH in blocks; 0: no limit claimed, none enforced.
  std::uint32_t max_transfer_blocks = 0;
  // What is taken all the same, in blocks, from an initiator that does not ask what the limit is;
  // 0: nothing beyond it.
  std::uint32_t tolerated_transfer_blocks = 0;
  // MAXIMUM WRITE SAME LENGTH. Linux shows it as write_zeroes_max_bytes. At least one block.
  Bytes write_same_max{1280 * 1024};
  // MAXIMUM UNMAP LBA COUNT and MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT (at most 64), where the
  // backend discards.
  Bytes unmap_max{std::uint64_t{512} << 20};
  std::uint32_t unmap_descriptors = 64;
  bool read_only = false;  // write protected, whatever the backend can do
  // Whether the kernel's target core answers RESERVE, RELEASE and PERSISTENT RESERVE, as it does
  // unless its emulate_pr is off: they are reported then.
  bool kernel_reserves = true;
};

class Disk {
 public:
  Disk(volume::Volume& volume, DiskConfig config);
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  co::Executor& executor() { return executor_; }

  // Looks the command up and judges what can be judged before any work: a null operation means that
  // it is refused, with `refusal` and the sense in the command.
  struct Judgement {
    const Operation* operation = nullptr;
    Status refusal = Status::check_condition;
    bool at_once = false;  // answer_at_once() does it
  };
  Judgement judge(Command& command);
  // READ and WRITE that are one operation of the volume, as nearly all are: in two halves around
  // its task, without a coroutine of the disk's. Empty: not such a one, carry_out() does it.
  co::Task<IoStatus> begin_transfer(Command& command, const Operation& operation);
  Status end_transfer(Command& command, const Operation& operation, IoStatus status);
  // Carries out what judge() let pass and begin_transfer() left. `command` outlives the task.
  co::Task<Status> carry_out(Command& command, const Operation& operation) {
    return (this->*operation.suspending)(command);
  }
  Status answer_at_once(Command& command, const Operation& operation) {
    return (this->*operation.immediate)(command);
  }
  // While the storage is not there yet: INQUIRY is answered whole, TEST UNIT READY and START STOP
  // UNIT with NOT READY, becoming ready, and all else with BUSY. Linux waits for a scan's INQUIRY
  // of each LUN, and a TEST UNIT READY that it must repeat is ahead of the scan's REPORT LUNS.
  Status answer_becoming_ready(Command& command);
  // All of that: judged when execute is called, its work done when the task is awaited.
  co::Task<Status> execute(Command& command);

  // Ends a command that has more data than the front end can take.
  Status refuse_length(Command& command) {
    return fail(command, illegal_request(asc::invalid_field_in_command_information_unit));
  }
  // Ends one that is cut off while the backend has it: it may have been done, in part, or not.
  Status outcome_unknown(Command& command) {
    return fail(command,
                Sense{.key = SenseKey::hardware_error, .what = asc::internal_target_failure});
  }
  // Whether FUA or FUA_NV is set in a READ or WRITE.
  static bool asks_fua(const Command& command);

  // Queues a unit attention (SAM-5, 5.14): the next command that may fail with one ends with CHECK
  // CONDITION, UNIT ATTENTION, asc/ascq. INQUIRY and REQUEST SENSE don't fail; REQUEST SENSE hands
  // it over as its data. A condition that is queued already is not queued twice; of more than four
  // the oldest go.
  //
  // TCMU does not tell which initiator a command came from, so a condition is delivered once, to
  // whoever comes first, not once to each I_T nexus as SAM wants. The kernel adds nothing: storing
  // TCMU's dev_size (6.1) only tells the daemon and changes the number, without any unit attention.
  void post_unit_attention(AdditionalSense what);
  // After volume.resize(): CAPACITY DATA HAS CHANGED.
  void capacity_changed() { post_unit_attention(asc::capacity_data_has_changed); }

  // Whether INQUIRY says the same of both.
  bool looks_like(const Disk& other) const;

  const DiskConfig& config() const { return config_; }
  volume::Volume& volume() { return volume_; }
  const volume::Volume& volume() const { return volume_; }

  // What follows from configuration, backend and mode pages, for the pages and for judging
  // commands.
  bool supports(const Operation& operation) const;
  // CDB USAGE DATA, byte by byte: the table's, less the bits this LUN has no use for.
  std::uint8_t usage(const Operation& operation, std::size_t byte) const;
  bool write_protected() const {
    return hardware_write_protected() || modes_.software_write_protect();
  }
  bool unmaps() const { return volume_.capabilities().discard; }
  bool write_same_unmaps() const { return unmaps() && volume_.capabilities().zero_unmaps; }
  bool unmapped_reads_zero() const { return unmaps() && volume_.capabilities().discard_zeroes; }
  std::uint64_t write_same_max_blocks() const;
  std::uint32_t unmap_max_blocks() const;
  std::uint8_t compare_and_write_max_blocks() const;
  const ModePages& modes() const { return modes_; }

  // Handlers, called through the opcode table (opcode_table.cpp). Not for others.
  Status test_unit_ready(Command& command);
  Status request_sense(Command& command);
  Status inquiry(Command& command);
  Status mode_sense(Command& command);
  Status mode_select(Command& command);
  co::Task<Status> turn_cache_off(Command& command);
  Status read_capacity_10(Command& command);
  Status read_capacity_16(Command& command);
  Status report_supported_operation_codes(Command& command);
  Status report_supported_task_management(Command& command);
  co::Task<Status> start_stop_unit(Command& command);
  co::Task<Status> read(Command& command);
  co::Task<Status> write(Command& command);
  co::Task<Status> write_and_verify(Command& command);
  co::Task<Status> verify(Command& command);
  Status pre_fetch(Command& command);
  co::Task<Status> synchronize_cache(Command& command);
  co::Task<Status> write_same(Command& command);
  co::Task<Status> unmap(Command& command);
  co::Task<Status> compare_and_write(Command& command);
  co::Task<Status> get_lba_status(Command& command);

 private:
  co::Task<Status> answer(Status status);
  co::Task<Status> await_transfer(Command& command, const Operation& operation,
                                  co::Task<IoStatus> transfer);
  volume::Request& request_of(Command& command) {
    return command.request != nullptr ? *command.request : nobody_;
  }
  // Ends the command with CHECK CONDITION.
  [[gnu::cold]] Status fail(Command& command, const Sense& sense);
  // GOOD, or what an I/O result means for a command on blocks from `from` on.
  Status finish(Command& command, IoStatus status, Lba from, bool changes);
  // The same of a comparison: a difference is a MISCOMPARE.
  Status finish(Command& command, const volume::Comparison& found, Lba from, bool changes);
  // Each judges one thing, and gives the failed command's status if it does not hold.
  std::optional<Status> refuse(Command& command, const Operation& operation);
  std::optional<Status> refuse_bits(Command& command, const Operation& operation);
  std::optional<Status> refuse_range(Command& command, Range range);
  std::optional<Status> refuse_transfer(Command& command, Range range, Bytes data);
  // The same, and GOOD for a range of no blocks.
  std::optional<Status> end_at_once(Command& command, Bytes data);
  Bytes bytes_of(BlockCount count) const {
    return Bytes{count.value() * volume_.logical_block().value()};
  }
  bool hardware_write_protected() const {
    return config_.read_only || volume_.capabilities().read_only;
  }
  // Whether changes are durable before they are answered; so from the moment that a MODE SELECT
  // begins to turn the cache off.
  bool writes_through() const { return !modes_.write_cache() || turning_cache_off_ > 0; }
  backend::Fua durability(bool fua) const {
    return fua || writes_through() ? backend::Fua::yes : backend::Fua::no;
  }
  // What a change that has no FUA of its own needs to be durable without a write cache. `since`:
  // Volume::flush_mark() when the change began.
  co::Task<IoStatus> settle(Command& command, IoStatus status, std::uint64_t since);
  // The parameter list of a MODE SELECT, judged.
  struct ModeList {
    std::optional<Sense> error;
    ModePages::Selection selection;
    std::size_t length = 0;
  };
  ModeList read_mode_list(const Command& command) const;
  // Whether a MODE SELECT does, which takes its time; it has its turn then.
  [[gnu::cold]] bool turns_cache_off(Command& command);
  // Data-in, cut to what the CDB and the initiator have room for; GOOD.
  Status reply(Command& command, std::span<const std::uint8_t> data, std::size_t allocation_length);
  Status report_all_operations(Command& command, bool timeouts, std::size_t allocation_length);
  std::size_t vital_page(std::uint8_t code, std::span<std::uint8_t> out) const;
  std::size_t designators(std::span<std::uint8_t> out) const;
  std::size_t block_limits(std::span<std::uint8_t> out) const;
  std::size_t describe(const Operation& operation, bool timeouts,
                       std::span<std::uint8_t> out) const;

  volume::Volume& volume_;
  co::Executor& executor_;
  DiskConfig config_;
  std::uint32_t largest_transfer_;  // that is taken, in blocks
  ModePages modes_;
  volume::Request nobody_;
  // What takes effect late has its turn in the order of coming: it must not undo a newer one.
  bool stopped_ = false;               // by START STOP UNIT
  std::uint64_t start_stops_ = 0;      // that have begun
  std::uint64_t start_stop_done_ = 0;  // the turn of the newest that took effect
  unsigned turning_cache_off_ = 0;     // MODE SELECTs that do
  std::array<AdditionalSense, 4> attentions_{};
  std::size_t attention_count_ = 0;
};

}  // namespace ballast::scsi
