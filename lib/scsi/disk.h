// SPDX-License-Identifier: Apache-2.0
// Disk: the device server of one LUN. It makes a direct-access block device (SBC-4, SPC-5) of a
// Volume.
//
//   scsi::Disk disk{volume, config};
//   const scsi::Status status = co_await disk.execute(command);   // sense is in the command
//
// All claims of the disk (INQUIRY, VPD pages, mode pages, REPORT SUPPORTED OPERATION CODES) come
// from the same tables and limits that check commands. The disk also reports REPORT LUNS and
// reservations, which it does not carry out: the kernel's target core answers them before a command
// reaches us.
//
// The volume outlives the disk, and the disk outlives its commands. Only the driving thread of the
// volume's executor uses it. Any number of commands may be under way. The disk does not order them;
// the volume orders changes that overlap. Only finish() turns results of the backend into
// sense data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/backend/backend.h"
#include "lib/backend/shared_store.h"
#include "lib/base/units.h"
#include "lib/co/mutex.h"
#include "lib/co/task.h"
#include "lib/io/scratch.h"
#include "lib/scsi/command.h"
#include "lib/scsi/copy_list.h"
#include "lib/scsi/copy_source.h"
#include "lib/scsi/log_pages.h"
#include "lib/scsi/mode_keeper.h"
#include "lib/scsi/mode_pages.h"
#include "lib/scsi/opcode_table.h"
#include "lib/scsi/sense.h"
#include "lib/scsi/target_port_groups.h"
#include "lib/volume/volume.h"

namespace ballast::scsi {

struct DiskConfig {
  std::string vendor = "BALLAST";  // T10 VENDOR IDENTIFICATION: 8 ASCII bytes, padded
  std::string product = "DISK";    // PRODUCT IDENTIFICATION: 16; a LUN has its backstore's name
  std::string revision = "0001";   // PRODUCT REVISION LEVEL: 4
  // The unit serial number from configfs (wwn/vpd_unit_serial), up to 252 ASCII bytes. VPD page 80
  // shows it, and page 83 shows the NAA designator that is made of it (naa.h). If it is empty there
  // is no NAA designator, so by-id links and multipath do not work.
  std::string unit_serial;
  // LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT, at most 15 (asserted).
  unsigned physical_block_exponent = 0;
  // MAXIMUM TRANSFER LENGTH in blocks. 0: no limit is claimed.
  std::uint32_t max_transfer_blocks = 0;
  // The largest transfer in blocks that is accepted, if this is above max_transfer_blocks: some
  // initiators do not ask for the limit. If both are 0, no limit is enforced.
  std::uint32_t tolerated_transfer_blocks = 0;
  // MAXIMUM WRITE SAME LENGTH, in bytes; at least one block. Linux shows it as
  // write_zeroes_max_bytes.
  Bytes write_same_max{1280 * 1024};
  // MAXIMUM UNMAP LBA COUNT (here in bytes) and MAXIMUM UNMAP BLOCK DESCRIPTOR COUNT (1 to 64).
  // They are shown if the backend can discard.
  Bytes unmap_max{std::uint64_t{512} << 20};
  std::uint32_t unmap_descriptors = 64;
  bool read_only = false;  // write protected even if the backend can write
  // Whether the kernel's target core answers RESERVE, RELEASE and PERSISTENT RESERVE. It does
  // unless its attribute emulate_pr or pgr_support is 0. If it does, the disk reports these
  // commands.
  bool kernel_reserves = true;
  // The store, if several machines may own it in turn; null otherwise. It outlives the disk. While
  // another machine owns it, only the commands that may come in the state "standby" are served.
  backend::SharedStore* shared = nullptr;
  // The gateways of such a store. If there are none, initiators are not told of the access.
  TargetPortGroups groups{};
  // What an earlier life of the LUN has kept, and who keeps it for the next one; null: nobody. The
  // keeper outlives the disk.
  std::optional<ModePages::Values> kept_modes{};
  ModeKeeper* mode_keeper = nullptr;
  // The other LUNs that a copy may read; null: none. They outlive the disk.
  CopySources* copy_sources = nullptr;
};

class Disk {
 public:
  Disk(volume::Volume& volume, DiskConfig config);
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  co::Executor& executor() { return executor_; }

  // Finds the command in the table and does all checks that are possible before any work. If
  // `operation` is null, the command is refused: the status is `refusal`, and the sense data is in
  // the command.
  struct Judgement {
    const Operation* operation = nullptr;
    Status refusal = Status::check_condition;
    bool at_once = false;  // answer_at_once() does the whole command
  };
  Judgement judge(Command& command);
  // Begins a READ or WRITE that is a single operation of the volume, as nearly all are. The caller
  // awaits the volume's task and then calls end_transfer(), so the disk needs no coroutine. An
  // empty task: this command is different or will be refused, and carry_out() must do it.
  co::Task<IoStatus> begin_transfer(Command& command, const Operation& operation);
  Status end_transfer(Command& command, const Operation& operation, IoStatus status);
  // Carries out a command that judge() accepted and begin_transfer() did not begin. `command`
  // outlives the task.
  co::Task<Status> carry_out(Command& command, const Operation& operation) {
    return (this->*operation.suspending)(command);
  }
  Status answer_at_once(Command& command, const Operation& operation) {
    return (this->*operation.immediate)(command);
  }
  // Answers a command while the storage is not there yet. INQUIRY is answered in full. TEST UNIT
  // READY and START STOP UNIT get NOT READY, becoming ready. A command that judge() refuses gets
  // its refusal. All others get BUSY. The reason is Linux's scan for LUNs: it waits for the INQUIRY
  // of each LUN. It would repeat a TEST UNIT READY that got BUSY, and its REPORT LUNS comes later.
  Status answer_becoming_ready(Command& command);
  // The same once it is known that the storage will never be there: NOT READY, manual intervention
  // required, to all but INQUIRY.
  Status answer_refused(Command& command);
  // Does all of that: execute() judges the command when it is called, and the task does the work
  // when it is awaited.
  co::Task<Status> execute(Command& command);

  // The tier that this command will wait for, as far as can be told now: the slow one, if it needs
  // both.
  volume::Tier tier_of(const Command& command, const Operation& operation) const {
    return volume_.has_log() ? tier_with_log(command, operation) : volume::Tier::store;
  }

  // How many bytes a copy reads and writes; 0 for all other commands.
  Bytes copied_bytes(const Command& command, const Operation& operation) const;

  // Ends a command that has more data than the front end can take.
  Status refuse_length(Command& command) {
    return fail(command, illegal_request(asc::invalid_field_in_command_information_unit));
  }
  // Ends a command that is cut off while it is at the backend. It may have been done as a whole, in
  // part, or not at all.
  Status outcome_unknown(Command& command) {
    return fail(command,
                Sense{.key = SenseKey::hardware_error, .what = asc::internal_target_failure});
  }
  // Whether FUA or FUA_NV is set in a READ or WRITE.
  static bool asks_fua(const Command& command);

  // Queues a unit attention (SAM-5, 5.14). The next command that may fail with one ends with CHECK
  // CONDITION, UNIT ATTENTION, asc/ascq. INQUIRY and REQUEST SENSE do not fail with it; REQUEST
  // SENSE returns it as its data. A condition that is queued already is not queued twice. If there
  // are more than four, the oldest is dropped.
  //
  // SAM wants each condition delivered once to each I_T nexus. TCMU does not tell which initiator a
  // command came from, so the disk delivers each condition only once, with the first command that
  // comes. The kernel adds none of its own: writing TCMU's dev_size (Linux 6.1) tells the daemon
  // and changes the number, but raises no unit attention.
  void post_unit_attention(AdditionalSense what);
  // Call it after volume.resize(). Posts CAPACITY DATA HAS CHANGED.
  void capacity_changed() { post_unit_attention(asc::capacity_data_has_changed); }

  // The gateways have changed. If that changes a page, posts INQUIRY DATA HAS CHANGED.
  void set_groups(const TargetPortGroups& groups);

  // Who counts what the LUN does, for its log pages; null: nobody, so they show zeros. It outlives
  // the disk, or takes itself back.
  void set_statistics(const StatisticsSource* source) { statistics_ = source; }

  // The age at which commands are answered, for REPORT SUPPORTED OPERATION CODES; 0: nobody sees to
  // that.
  void set_deadline(Nanoseconds deadline) { deadline_ = deadline; }

  // How much room the store has. Only if its capabilities have `room`.
  void set_room(std::optional<backend::Room> room) { room_ = room; }
  // The room below which somebody posts THIN PROVISIONING SOFT THRESHOLD REACHED; 0: nobody does.
  // A mode page shows it.
  void set_soft_threshold(Bytes free);

  // Whether all vital product data pages of both disks are equal.
  bool looks_like(const Disk& other) const;

  const DiskConfig& config() const { return config_; }
  bool stopped() const { return stopped_; }  // by START STOP UNIT
  bool has_name() const { return !config_.unit_serial.empty(); }
  bool has_groups() const { return config_.shared != nullptr && !config_.groups.empty(); }
  volume::Volume& volume() { return volume_; }
  const volume::Volume& volume() const { return volume_; }

  // Properties that follow from configuration, backend and mode pages. The pages and the checks of
  // commands use them.
  bool supports(const Operation& operation) const;
  // Whether some command with this opcode is one of `rows` that the LUN supports; is served; is
  // served here or by the kernel.
  bool has_opcode(std::span<const Operation> rows, std::uint8_t opcode) const;
  bool serves_opcode(std::uint8_t opcode) const;
  bool reports_opcode(std::uint8_t opcode) const;
  // A byte of the CDB USAGE DATA: the table's, less the bits that this LUN does not support.
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

  // Handlers. Only the opcode table calls them (opcode_table.cpp).
  Status test_unit_ready(Command& command);
  Status request_sense(Command& command);
  Status inquiry(Command& command);
  Status mode_sense(Command& command);
  Status mode_select(Command& command);
  Status log_sense(Command& command);
  Status read_defect_data(Command& command);
  co::Task<Status> change_modes(Command& command);
  Status read_capacity_10(Command& command);
  Status read_capacity_16(Command& command);
  Status report_supported_operation_codes(Command& command);
  Status report_supported_task_management(Command& command);
  Status report_target_port_groups(Command& command);
  co::Task<Status> set_target_port_groups(Command& command);
  co::Task<Status> start_stop_unit(Command& command);
  co::Task<Status> send_diagnostic(Command& command);
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
  co::Task<Status> extended_copy(Command& command);
  Status receive_copy_operating_parameters(Command& command);

 private:
  co::Task<Status> answer(Status status);
  volume::Tier tier_with_log(const Command& command, const Operation& operation) const;
  co::Task<Status> await_transfer(Command& command, const Operation& operation,
                                  co::Task<IoStatus> transfer);
  volume::Request& request_of(Command& command) {
    return command.request != nullptr ? *command.request : nobody_;
  }
  // The oldest one. Only if there is one.
  [[gnu::cold]] Sense take_unit_attention();
  // Ends the command with CHECK CONDITION and this sense data.
  [[gnu::cold]] Status fail(Command& command, const Sense& sense);
  // Returns the status for an I/O result of a command on blocks from `from` on, and fills in the
  // sense data. `changes`: the command writes.
  Status finish(Command& command, IoStatus status, Lba from, bool changes);
  // The same for a comparison. A difference becomes a MISCOMPARE.
  Status finish(Command& command, const volume::Comparison& found, Lba from, bool changes);
  // Each checks one thing. If it does not hold, it ends the command and returns the status.
  std::optional<Status> refuse(Command& command, const Operation& operation);
  std::optional<Status> refuse_bits(Command& command, const Operation& operation);
  // As the source counts it, with what the disk itself knows.
  Statistics statistics() const;
  // NOT READY, and why: who has the store, where others may own it.
  Sense not_ready() const;
  GroupChange read_change(const Command& command) const;
  std::optional<Status> refuse_range(Command& command, Range range);
  std::optional<Status> refuse_transfer(Command& command, Range range, Bytes data);
  // As refuse_transfer() on the command's range, and returns GOOD for a range of no blocks.
  std::optional<Status> end_at_once(Command& command, Bytes data);
  Bytes bytes_of(BlockCount count) const {
    return Bytes{count.value() * volume_.logical_block().value()};
  }
  bool hardware_write_protected() const {
    return config_.read_only || volume_.capabilities().read_only;
  }
  // Whether changes must be durable before they are answered. This begins when a MODE SELECT begins
  // to turn the cache off.
  bool writes_through() const { return !modes_.write_cache() || turning_cache_off_ > 0; }
  backend::Fua durability(bool fua) const {
    return fua || writes_through() ? backend::Fua::yes : backend::Fua::no;
  }
  // Call it after a change that has no FUA. If the disk writes through, it flushes. `since` is the
  // value of Volume::flush_mark() when the change began.
  co::Task<IoStatus> settle(Command& command, IoStatus status, std::uint64_t since);
  struct Copy {
    CopyList list;
    std::shared_ptr<CopySource> source;  // the other LUN that the list names, if it may be read
  };
  Copy read_copy(const Command& command) const;
  co::Task<co::Semaphore::Guard> copy_slot(volume::Request& request, bool from_source);
  co::Task<IoStatus> read_source(volume::Request& request, CopySource& source, Lba lba,
                                 std::span<std::byte> to);
  Status end_copy(Command& command, IoStatus status, std::size_t segment, bool writes);
  Status end_copy_at_source(Command& command, IoStatus status, std::size_t segment);
  // The parameter list of a MODE SELECT, after it was checked.
  struct ModeList {
    std::optional<Sense> error;
    ModePages::Selection selection;
    std::size_t length = 0;
  };
  ModeList read_mode_list(const Command& command) const;
  // Whether this MODE SELECT cannot be answered at once: it turns the cache off, which takes a
  // flush, or it changes what must be kept. If so, the command gets its turn.
  [[gnu::cold]] bool changes_modes_late(Command& command);
  co::Task<IoStatus> keep_and_apply(Command& command, ModePages::Selection selection);
  // Writes `data` to the command's data-in and returns GOOD. The CDB's allocation length and the
  // initiator's room limit the length.
  Status reply(Command& command, std::span<const std::uint8_t> data, std::size_t allocation_length);
  Status report_all_operations(Command& command, bool timeouts, std::size_t allocation_length);
  bool keeps_deadline(const Operation& operation) const;
  void put_timeouts(const Operation& operation, std::span<std::uint8_t> to) const;
  std::size_t vital_page(std::uint8_t code, std::span<std::uint8_t> out) const;
  std::size_t designators(std::span<std::uint8_t> out) const;
  std::size_t block_limits(std::span<std::uint8_t> out) const;
  std::size_t describe(const Operation& operation, bool timeouts,
                       std::span<std::uint8_t> out) const;

  volume::Volume& volume_;
  co::Executor& executor_;
  DiskConfig config_;
  const backend::Access* access_;   // of the store
  std::uint32_t largest_transfer_;  // the largest transfer that is accepted, in blocks
  ModePages modes_;
  const StatisticsSource* statistics_ = nullptr;
  std::optional<backend::Room> room_;
  Nanoseconds deadline_{};
  std::uint64_t read_errors_ = 0;  // commands that ended because of a medium error
  std::uint64_t write_errors_ = 0;
  volume::Request nobody_;
  co::Mutex mode_changes_;
  bool modes_are_kept_ = true;
  // One for each copy, so that no more are made at once; apart for those from another LUN, because
  // that may hang.
  io::ScratchPool copy_buffers_;
  io::ScratchPool source_buffers_;
  // Commands that take effect late have a turn, so that they do not undo the effect of a newer one.
  bool stopped_ = false;               // by START STOP UNIT
  std::uint64_t start_stops_ = 0;      // START STOP UNITs that have begun
  std::uint64_t start_stop_done_ = 0;  // the turn of the newest one that took effect
  unsigned turning_cache_off_ = 0;     // MODE SELECTs that are turning it off
  std::array<AdditionalSense, 4> attentions_{};
  std::size_t attention_count_ = 0;
};

}  // namespace ballast::scsi
