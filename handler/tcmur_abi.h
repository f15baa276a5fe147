// SPDX-License-Identifier: Apache-2.0
// The interface of tcmu-runner 1.5.4, libtcmu 2 and the TCMU ring, declared in our own words.
//
// No distribution ships tcmu-runner's headers, and they are not C++. <linux/target_core_user.h>
// includes a struct iovec of its own, which collides with <sys/uio.h>. So all that the plugin uses
// is declared here, under the names of the daemon and the kernel. `make check-abi` compares each
// size, offset and value with the real headers. Nothing here is ours to change.
//
// Ownership. The daemon owns tcmu_device and everything it points to. The handler owns a
// tcmulib_cmd from handle_cmd() until it passes it to tcmulib_command_complete(), which frees it.
// The functions are not thread-safe per device unless their comment says so. They may be
// cancellation points; our callers have cancellation disabled, hence noexcept.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <ctime>

namespace ballast::handler::abi {

// --- status of a command, as handle_cmd returns it and tcmulib_command_complete takes it
//
// Only the values that we use. For the others the daemon answers CHECK CONDITION with sense data of
// its own.
enum tcmu_sts : int {
  TCMU_STS_ASYNC_HANDLED = -2,  // answered later or already, through tcmulib_command_complete
  TCMU_STS_NOT_HANDLED = -1,
  TCMU_STS_OK = 0,               // GOOD
  TCMU_STS_NO_RESOURCE = 1,      // TASK SET FULL
  TCMU_STS_PASSTHROUGH_ERR = 2,  // CHECK CONDITION with the sense data in sense_buf
  TCMU_STS_BUSY = 3,             // BUSY
};

inline constexpr std::size_t SENSE_BUFFERSIZE = 96;

// --- commands
struct tcmu_device;  // opaque

struct tcmulib_cmd {
  std::uint16_t cmd_id;
  std::uint8_t* cdb;  // length by its group code: 6, 10, 12, 16, or 8 + byte 7 for 0x7f
  ::iovec* iovec;     // into the data area; segments of 512 bytes inside pages occur
  std::size_t iov_cnt;
  std::uint8_t sense_buf[SENSE_BUFFERSIZE];
  void* hm_private;  // the tcmur_cmd of this command
};

struct list_node {
  list_node* next;
  list_node* prev;
};

// May lie at any address, even an odd one (right behind the CDB). Never dereference it; copy it
// out.
struct tcmur_cmd {
  tcmulib_cmd* lib_cmd;
  ::iovec* iovec;
  std::size_t iov_cnt;
  void* iov_base_copy;
  void* cmd_state;
  std::size_t requested;
  list_node cmds_list_entry;
  std::timespec start_time;  // tv_sec != 0: the daemon tracks this command (tcmur_cmd_time_out)
  bool timed_out;
  void (*done)(tcmu_device* dev, tcmur_cmd* cmd, int ret);
};

// --- reconfiguration
enum tcmulib_cfg_type : unsigned {
  TCMULIB_CFG_DEV_CFGSTR = 0,
  TCMULIB_CFG_DEV_SIZE = 1,
  TCMULIB_CFG_WRITE_CACHE = 2,
};

struct tcmulib_cfg_info {
  tcmulib_cfg_type type;
  union {
    std::uint64_t dev_size;  // bytes
    char* dev_cfgstring;     // the daemon owns it; valid during the call
    bool write_cache;
  } data;
};

// --- the handler
//
// If read, write and flush are all null, the handler is passthrough-only. handle_cmd then gets
// every command, on the device's cmdproc thread if nr_threads is 0, and the daemon emulates no
// command.
struct tcmur_handler {
  const char* name;
  const char* subtype;
  const char* cfg_desc;
  void* opaque;
  // If it returns false, *reason is a sentence from malloc(3), which the daemon frees.
  bool (*check_config)(const char* cfgstring, char** reason);
  int (*reconfig)(tcmu_device* dev, tcmulib_cfg_info* cfg);
  int (*open)(tcmu_device* dev, bool reopen);
  void (*close)(tcmu_device* dev);
  int nr_threads;
  int (*handle_cmd)(tcmu_device* dev, tcmur_cmd* cmd);
  void (*read)();
  void (*write)();
  void (*flush)();
  void (*unmap)();
  void (*writesame)();
  void (*caw)();
  void (*report_event)();
  void (*lock)();
  void (*unlock)();
  void (*get_lock_tag)();
  void (*get_lock_state)();
  bool _is_dbus_handler;
  bool (*update_logdir)();
  int (*init)();
  void (*destroy)();
};

// --- the ring: <linux/target_core_user.h>
inline constexpr std::uint16_t TCMU_MAILBOX_VERSION = 2;
inline constexpr std::uint16_t TCMU_MAILBOX_FLAG_CAP_OOOC = 1;      // out-of-order completion
inline constexpr std::uint16_t TCMU_MAILBOX_FLAG_CAP_READ_LEN = 2;  // short reads
inline constexpr std::uint16_t TCMU_MAILBOX_FLAG_CAP_TMR = 4;       // task management notices
inline constexpr std::uint16_t TCMU_MAILBOX_FLAG_CAP_KEEP_BUF =
    8;  // data may stay in use after the answer

// At the start of the shared mapping. The kernel writes all members but cmd_tail.
struct tcmu_mailbox {
  std::uint16_t version;
  std::uint16_t flags;
  std::uint32_t cmdr_off;   // of the command ring, from the start of the mailbox
  std::uint32_t cmdr_size;  // its length in bytes; head and tail are offsets into it
  std::uint32_t cmd_head;
  alignas(64) std::uint32_t cmd_tail;
};

enum tcmu_opcode : unsigned {
  TCMU_OP_PAD = 0,  // skip to the start of the ring
  TCMU_OP_CMD = 1,
  TCMU_OP_TMR = 2,
};
inline constexpr std::uint32_t TCMU_OP_MASK =
    7;  // the bits of len_op that hold the opcode; the others hold the length
inline constexpr std::uint8_t TCMU_UFLAG_UNKNOWN_OP = 1;
inline constexpr std::uint8_t TCMU_UFLAG_READ_LEN = 2;
inline constexpr std::uint8_t TCMU_UFLAG_KEEP_BUF = 4;

struct tcmu_cmd_entry_hdr {
  std::uint32_t len_op;
  std::uint16_t cmd_id;
  std::uint8_t kflags;
  std::uint8_t uflags;
};

// This follows the header when the kernel hands a command over ...
struct tcmu_cmd_req {
  std::uint32_t iov_cnt;
  std::uint32_t iov_bidi_cnt;
  std::uint32_t iov_dif_cnt;
  std::uint64_t cdb_off;  // from the start of the mailbox
  std::uint64_t pad1;
  std::uint64_t pad2;
  // iov_cnt iovecs follow; their iov_base is an offset from the start of the mailbox
};
// ... and this is in the same place when the command is answered.
struct tcmu_cmd_rsp {
  std::uint8_t scsi_status;
  std::uint8_t pad1;
  std::uint16_t pad2;
  std::uint32_t read_len;
  char sense_buffer[SENSE_BUFFERSIZE];
};
inline constexpr std::size_t tcmu_cmd_entry_size = 112;  // the header and the longer of the two

// A task management notice (TCMU_OP_TMR). The kernel writes it if the device's tmr_notification is
// 1.
struct tcmu_tmr_entry {
  tcmu_cmd_entry_hdr hdr;
  std::uint8_t tmr_type;
  std::uint8_t pad1;
  std::uint16_t pad2;
  std::uint32_t cmd_cnt;
  std::uint64_t pad3;
  std::uint64_t pad4;
  // cmd_cnt ids of commands follow, 16 bits each
};

// --- functions
extern "C" {
// Functions of the daemon.
int tcmur_register_handler(tcmur_handler* handler) noexcept;
void tcmur_dev_set_private(tcmu_device* dev, void* value) noexcept;
void* tcmur_dev_get_private(tcmu_device* dev) noexcept;

// Functions of libtcmu. The next two write the ring and take no lock: only one thread at a time may
// call them. complete() frees cmd and writes its answer into the oldest unanswered entry.
// processing_complete() rings the doorbell.
void tcmulib_command_complete(tcmu_device* dev, tcmulib_cmd* cmd, int result) noexcept;
void tcmulib_processing_complete(tcmu_device* dev) noexcept;
// Takes the event off the uio descriptor, as the daemon does before it looks into the ring.
void tcmulib_processing_start(tcmu_device* dev) noexcept;

// These read the device only; any thread.
char* tcmu_dev_get_cfgstring(tcmu_device* dev) noexcept;  // "ballast/file=/srv/vol0.raw;..."
std::uint64_t tcmu_dev_get_num_lbas(tcmu_device* dev) noexcept;
std::uint32_t tcmu_dev_get_block_size(tcmu_device* dev) noexcept;    // bytes
std::uint32_t tcmu_dev_get_max_xfer_len(tcmu_device* dev) noexcept;  // hw_max_sectors, in blocks
void tcmu_dev_set_write_cache_enabled(tcmu_device* dev, bool enabled) noexcept;
int tcmu_dev_get_fd(tcmu_device* dev) noexcept;  // readable when commands came; non-blocking
const char* tcmu_dev_get_uio_name(tcmu_device* dev) noexcept;  // "uio0"
// Returns the path of the uio device, which the caller frees, or null on failure. Sets *base to the
// start of the mailbox.
char* tcmu_dev_get_memory_info(tcmu_device* dev, void** base, std::size_t* length,
                               off_t* offset) noexcept;
// Returns the unit serial from configfs, which the caller frees, or null on failure. It reads a
// file, so it blocks.
char* tcmu_cfgfs_dev_get_wwn(tcmu_device* dev) noexcept;

// The daemon's log; any thread. A line ends in a newline. The daemon cuts it off after 254 bytes,
// prefix included.
[[gnu::format(printf, 4, 5)]] void tcmu_err_message(tcmu_device* dev, const char* function,
                                                    int line, const char* format, ...) noexcept;
[[gnu::format(printf, 4, 5)]] void tcmu_warn_message(tcmu_device* dev, const char* function,
                                                     int line, const char* format, ...) noexcept;
[[gnu::format(printf, 4, 5)]] void tcmu_info_message(tcmu_device* dev, const char* function,
                                                     int line, const char* format, ...) noexcept;
[[gnu::format(printf, 4, 5)]] void tcmu_dbg_message(tcmu_device* dev, const char* function,
                                                    int line, const char* format, ...) noexcept;
}

}  // namespace ballast::handler::abi
