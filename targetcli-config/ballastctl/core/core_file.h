// SPDX-License-Identifier: Apache-2.0
// CoreFile: the memory of a process, out of an ELF core file of a 64-bit Linux machine.
//
// With the kernel's default coredump_filter a core file has all memory that the process has written
// to, and nothing of the files that it has mapped. So what the plugin's file has, constant texts
// above all, is read from that file (use_module). Memory that the process may have written to never
// is.
//
// The file may be cut off, or anything else: every number in it is checked, and an address that it
// does not have is one that cannot be read. Single-threaded.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/result.h"

namespace ballast::ctl::core {

// A file in memory, or a part of it.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MappedFile();
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_{bytes} {}
  std::span<const std::byte> bytes_;
};

class CoreFile {
 public:
  // `bytes` outlive it. The error says what the file is, or what to do with it.
  static Result<CoreFile> parse(std::span<const std::byte> bytes);

  // Copies the memory at `address` to `to`. Returns whether the core has all of it.
  bool read(std::uint64_t address, std::span<std::byte> to) const;
  // Every place at which the process has `pattern`, on a multiple of 8, in memory that was mapped
  // from files, as far as it says which that is. (The rest may be large.)
  std::vector<std::uint64_t> find(std::string_view pattern) const;

  // The file that was mapped at `address`; empty: none was.
  std::string module_at(std::uint64_t address) const;
  // Reads from `file` what was mapped from `path`, and not written to. Its build id must be that of
  // the process' file, as far as the core has it.
  enum class Fits { yes, no, unknown };
  Fits use_module(const std::string& path, std::span<const std::byte> file);

  // What ended the process; 0: nothing did.
  int signal() const { return signal_; }
  pid_t thread() const { return thread_; }  // that the signal came to
  // The bytes that are missing at the end.
  std::uint64_t missing() const { return missing_; }

 private:
  struct Segment {
    std::uint64_t address;
    std::uint64_t memory_bytes;
    std::uint64_t file_bytes;  // as it says, even if the file is cut off
    bool writable;
    std::span<const std::byte> bytes;  // as far as they are there
  };
  struct Mapping {
    std::uint64_t begin;
    std::uint64_t end;
    std::uint64_t offset;  // in the file
    std::string_view path;
  };

  void read_notes(std::span<const std::byte> notes);
  void read_mappings(std::span<const std::byte> note);
  const Segment* segment_of(std::uint64_t address) const;
  std::span<const std::byte> available(std::uint64_t address) const;
  std::span<const std::byte> from_module(std::uint64_t address) const;
  std::optional<std::string> build_id_of(std::string_view path) const;

  std::vector<Segment> segments_;  // by address
  std::vector<Mapping> mappings_;
  std::string module_;
  std::span<const std::byte> module_file_;
  int signal_ = 0;
  pid_t thread_ = 0;
  std::uint64_t missing_ = 0;
};

}  // namespace ballast::ctl::core
