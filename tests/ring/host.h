// SPDX-License-Identifier: Apache-2.0
// The other side of the plugin: it plays the kernel's TCMU and the daemon over shared memory, at
// native speed, for the plugin in the form that is installed.
//
// The kernel's part lays out mailbox, command ring and data area as
// drivers/target/target_core_user.c does: entries have their CDB behind the segment table, pads
// fill the end of the ring, and data is in scattered pages, of which neighbours share a segment. It
// raises an event on a descriptor for each command, and takes answers when the doorbell rings. The
// daemon's part exports the functions that plugins of tcmu-runner call, runs one cmdproc thread for
// each LUN, and opens, reconfigures and removes LUNs as tcmu-runner 1.5.4 does, pthread_cancel()
// included.
//
// Threads: any thread may call submit(). A callback runs on the thread that rings the doorbell,
// with no lock held, and may submit again. Call everything else from the thread that made the Lun.
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "handler/tcmur_abi.h"

namespace ballast::ring_test {

namespace abi = handler::abi;

enum class Direction : std::uint8_t { none, from_device, to_device };

struct Answer {
  std::uint8_t status = 0xff;  // SCSI status
  std::array<std::uint8_t, abi::SENSE_BUFFERSIZE> sense{};
  std::size_t transferred = 0;  // data-in bytes; fewer than asked for: a residual

  unsigned sense_key() const { return sense[2] & 0xfU; }
  // CHECK CONDITION, NOT READY, LOGICAL UNIT IS IN PROCESS OF BECOMING READY.
  bool becoming_ready() const {
    return status == 0x02 && sense_key() == 0x2 && additional_sense() == 0x0401;
  }
  // The same, MANUAL INTERVENTION REQUIRED.
  bool refused_for_good() const {
    return status == 0x02 && sense_key() == 0x2 && additional_sense() == 0x0403;
  }
  unsigned additional_sense() const { return unsigned{sense[12]} << 8 | sense[13]; }
};

// Runs when a command is answered. A plain function pointer, so that it costs a benchmark nothing.
struct Done {
  void (*run)(void* context, const Answer& answer) = nullptr;
  void* context = nullptr;
};

struct LunOptions {
  std::uint64_t size = std::uint64_t{64} << 20;
  std::uint32_t block_size = 512;
  std::uint32_t max_transfer_blocks = 2048;
  std::size_t ring_bytes = std::size_t{1} << 20;
  std::size_t data_pages = 8192;
  std::uint16_t flags = abi::TCMU_MAILBOX_FLAG_CAP_OOOC | abi::TCMU_MAILBOX_FLAG_CAP_READ_LEN |
                        abi::TCMU_MAILBOX_FLAG_CAP_TMR | abi::TCMU_MAILBOX_FLAG_CAP_KEEP_BUF;
  const char* unit_serial = "3c8f5a1e-0f0d-4b52-9d0c-1f2e3d4c5b6a";
  int command_timeout = 0;  // tcmur_cmd_time_out
  bool scatter = true;      // hand out data pages in random order
  std::uint64_t seed = 1;
  // True: the daemon is starting and finds this LUN in the kernel. False: an operator makes the
  // LUN.
  bool at_start = false;
  // The name of the backstore and of the uio device; empty: a new name.
  std::string name;
  bool in_configfs = true;  // false: the plugin finds neither of the two
};

struct HostStats {
  std::uint64_t doorbells = 0;
  std::uint64_t empty_doorbells = 0;  // nothing had been answered
  std::uint64_t answers = 0;
  std::uint64_t largest_batch = 0;
};

class Lun {
 public:
  // Adds the LUN as the daemon adds a device: check_config, open, cmdproc thread. Null: it was
  // refused; see take_log().
  static std::unique_ptr<Lun> add(const std::string& config, const LunOptions& options = {});
  // Removes the LUN, unless that was done.
  ~Lun();
  Lun(const Lun&) = delete;
  Lun& operator=(const Lun&) = delete;
  // Removes the LUN as the daemon removes a device: it cancels and joins the cmdproc thread, then
  // closes. Returns whether every command was answered. Commands may still be under way.
  bool remove();

  // Queues one command and raises the event. Returns false if there is no room.
  bool submit(std::span<const std::uint8_t> cdb, Direction direction, std::span<std::byte> data,
              Done done);
  // Queues one command without raising the event; raise() does that for all of them.
  bool queue(std::span<const std::uint8_t> cdb, Direction direction, std::span<std::byte> data,
             Done done);
  void raise();
  // Submits one command and waits for its answer.
  Answer execute(std::span<const std::uint8_t> cdb, Direction direction = Direction::none,
                 std::span<std::byte> data = {});
  // Puts a task management notice into the ring, for the commands with these ids.
  void queue_task_management(std::span<const std::uint16_t> ids = {});
  // Attributes of its backstore in configfs: set_attribute() plays another program that writes one.
  void set_attribute(const char* name, int value);
  int attribute(const char* name) const;
  std::uint16_t id_of_last_command() const { return last_id_; }

  int reconfigure_size(std::uint64_t size);
  int reconfigure_string(const std::string& config);
  int reconfigure_write_cache(bool on);

  // Whether head and tail of the ring are equal, which the daemon checks before it stops.
  bool ring_is_empty() const;
  std::size_t outstanding() const;
  HostStats stats() const;
  std::size_t segments_of_last_command() const { return last_segments_; }

 private:
  friend struct Daemon;
  struct Pending {
    bool used = false;
    Direction direction = Direction::none;
    std::span<std::byte> data;
    std::vector<std::uint32_t> pages;
    Done done;
  };

  explicit Lun(const LunOptions& options);
  bool start(const std::string& config);
  void* place(std::uint32_t ring_offset) const;
  bool reserve(std::size_t length);
  bool place_command(std::span<const std::uint8_t> cdb, Direction direction,
                     std::span<std::byte> data, Done done);
  std::vector<iovec> take_pages(std::size_t bytes, std::vector<std::uint32_t>* pages);
  void copy(Pending& pending, std::size_t bytes, bool in);
  void doorbell();

  LunOptions options_;
  std::byte* mapping_ = nullptr;
  std::size_t mapping_size_ = 0;
  abi::tcmu_mailbox* mailbox_ = nullptr;
  std::size_t data_offset_ = 0;
  int event_fd_ = -1;
  std::unique_ptr<abi::tcmu_device> device_;
  pthread_t cmdproc_{};
  bool running_ = false;

  mutable std::mutex mutex_;  // plays the kernel's cmdr_lock; guards what follows
  std::uint32_t cleaned_ = 0;
  std::vector<Pending> pending_;
  std::vector<std::uint16_t> free_ids_;
  std::vector<std::uint32_t> free_pages_;
  std::size_t outstanding_ = 0;
  std::size_t last_segments_ = 0;
  std::uint16_t last_id_ = 0;
  HostStats stats_;
};

// Loads the plugin (environment BALLAST_PLUGIN, or `path`) as the daemon does. The plugin's records
// of stores go to the folder BALLAST_RECORDS, or else to one of this process, and it finds no saved
// configuration. If loading fails, the process ends with a message.
abi::tcmur_handler& load_plugin(const char* path);

const std::string& records_folder();

// Calls check_config and frees the reason as the daemon does. Empty: the string is valid.
std::string check_config(const std::string& config);

// The lines that the plugin logged since the last call, the error of the last open among them.
std::string take_log();
// Makes the daemon's log hang, as on a frozen /var/log, until it is thawed.
void freeze_log(bool frozen);

}  // namespace ballast::ring_test
