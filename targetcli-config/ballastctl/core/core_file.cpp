// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/core/core_file.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/base/unique_fd.h"

namespace ballast::ctl::core {
namespace {

using Bytes = std::span<const std::byte>;

// In struct elf_prstatus of a 64-bit machine: the signal, and the thread.
constexpr std::size_t prstatus_signal = 12;
constexpr std::size_t prstatus_thread = 32;
constexpr std::size_t most_mappings = 65536;

// Whether [offset, offset + length) is in `bytes`.
bool has(Bytes bytes, std::uint64_t offset, std::uint64_t length) {
  return offset <= bytes.size() && length <= bytes.size() - offset;
}

template <class T>
std::optional<T> value_at(Bytes bytes, std::uint64_t offset) {
  if (!has(bytes, offset, sizeof(T))) {
    return std::nullopt;
  }
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

bool begins_with(Bytes bytes, std::string_view magic) {
  return has(bytes, 0, magic.size()) && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

// Why `bytes` is no core file; null: it is one.
const char* refusal(Bytes bytes) {
  if (begins_with(bytes, "\x28\xb5\x2f\xfd") || begins_with(bytes, "\x04\x22\x4d\x18") ||
      begins_with(bytes, "\x1f\x8b") ||
      begins_with(bytes,
                  "\xfd"
                  "7zXZ")) {
    return "it is compressed: unpack it first, for example with coredumpctl dump "
           "--output=core.tcmu-runner tcmu-runner, or with zstd -d";
  }
  const auto header = value_at<Elf64_Ehdr>(bytes, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
    return "it is no ELF file";
  }
  if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB) {
    return "it is not of a 64-bit little-endian machine";
  }
  if (header->e_type != ET_CORE) {
    return "it is an ELF file, but no core file";
  }
  if (header->e_phentsize != sizeof(Elf64_Phdr)) {
    return "its program headers have an unknown size";
  }
  return nullptr;
}

// The number of program headers; many of them are counted elsewhere.
std::uint64_t header_count(const Elf64_Ehdr& header, Bytes bytes) {
  if (header.e_phnum != PN_XNUM) {
    return header.e_phnum;
  }
  const auto section = value_at<Elf64_Shdr>(bytes, header.e_shoff);
  return section ? section->sh_info : 0;
}

// Calls visit(type, name, description) for each note.
template <class Visit>
void visit_notes(Bytes notes, Visit visit) {
  while (const auto header = value_at<Elf64_Nhdr>(notes, 0)) {
    const auto padded = [](std::uint64_t length) { return (length + 3) / 4 * 4; };
    const std::uint64_t at = sizeof(*header) + padded(header->n_namesz);
    if (!has(notes, sizeof(*header), header->n_namesz) || !has(notes, at, header->n_descsz)) {
      return;
    }
    visit(header->n_type, notes.subspan(sizeof(*header), header->n_namesz),
          notes.subspan(at, header->n_descsz));
    const std::uint64_t next = at + padded(header->n_descsz);
    if (!has(notes, next, 0)) {
      return;
    }
    notes = notes.subspan(next);
  }
}

// `read(offset, length)` gives bytes of an ELF file: of a file on disk, or of one in memory.
template <class Read>
std::optional<std::string> build_id(Read read) {
  const std::vector<std::byte> begin = read(0, sizeof(Elf64_Ehdr));
  const auto header = value_at<Elf64_Ehdr>(begin, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_phnum > 64) {
    return std::nullopt;
  }
  std::optional<std::string> id;
  for (unsigned i = 0; i < header->e_phnum && !id; ++i) {
    const std::vector<std::byte> raw =
        read(header->e_phoff + i * sizeof(Elf64_Phdr), sizeof(Elf64_Phdr));
    const auto program = value_at<Elf64_Phdr>(raw, 0);
    if (!program || program->p_type != PT_NOTE || program->p_filesz > 4096) {
      continue;
    }
    const std::vector<std::byte> notes = read(program->p_offset, program->p_filesz);
    visit_notes(notes, [&id](std::uint32_t type, Bytes name, Bytes description) {
      if (type == NT_GNU_BUILD_ID && begins_with(name, "GNU") && !description.empty()) {
        id.emplace(reinterpret_cast<const char*>(description.data()), description.size());
      }
    });
  }
  return id;
}

}  // namespace

// --- files

Result<MappedFile> MappedFile::open(const std::string& path) {
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
    return Error{errno, fmt::format("cannot read {}: {}", path, std::strerror(errno))};
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{EINVAL, fmt::format("cannot read {}: it is no regular file", path)};
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) {
    return Error{EINVAL, fmt::format("{} is empty", path)};
  }
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (memory == MAP_FAILED) {
    return Error{errno, fmt::format("cannot map {}: {}", path, std::strerror(errno))};
  }
  return MappedFile{Bytes{static_cast<const std::byte*>(memory), size}};
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_{std::exchange(other.bytes_, {})} {}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) {
    ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
}

// --- parsing

Result<CoreFile> CoreFile::parse(Bytes bytes) {
  if (const char* const why = refusal(bytes); why != nullptr) {
    return Error{EINVAL, why};
  }
  const auto header = value_at<Elf64_Ehdr>(bytes, 0);
  CoreFile core;
  const std::uint64_t count = header_count(*header, bytes);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto program = value_at<Elf64_Phdr>(bytes, header->e_phoff + i * sizeof(Elf64_Phdr));
    if (!program) {
      break;
    }
    const std::uint64_t offset = std::min<std::uint64_t>(program->p_offset, bytes.size());
    const std::uint64_t length = std::min<std::uint64_t>(program->p_filesz, bytes.size() - offset);
    core.missing_ += program->p_filesz - length;
    const Bytes content = bytes.subspan(offset, length);
    if (program->p_type == PT_NOTE) {
      core.read_notes(content);
    } else if (program->p_type == PT_LOAD && program->p_memsz <= UINT64_MAX - program->p_vaddr) {
      core.segments_.push_back({program->p_vaddr, program->p_memsz, program->p_filesz,
                                (program->p_flags & PF_W) != 0, content});
    }
  }
  std::ranges::sort(core.segments_, {}, &Segment::address);
  return core;
}

void CoreFile::read_notes(Bytes notes) {
  bool first = true;
  visit_notes(notes, [&](std::uint32_t type, Bytes, Bytes description) {
    if (type == NT_PRSTATUS && std::exchange(first, false)) {
      signal_ = value_at<std::int16_t>(description, prstatus_signal).value_or(0);
      thread_ = value_at<std::int32_t>(description, prstatus_thread).value_or(0);
    } else if (type == NT_FILE) {
      read_mappings(description);
    }
  });
}

// Count, page size, then {begin, end, offset in pages} of each, then the names.
void CoreFile::read_mappings(Bytes note) {
  const std::uint64_t count = value_at<std::uint64_t>(note, 0).value_or(0);
  const std::uint64_t page = value_at<std::uint64_t>(note, 8).value_or(0);
  if (count > most_mappings || !has(note, 16, count * 24)) {
    return;
  }
  const Bytes names = note.subspan(16 + count * 24);
  std::string_view left{reinterpret_cast<const char*>(names.data()), names.size()};
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::size_t end = left.find('\0');
    if (end == std::string_view::npos) {
      return;
    }
    std::array<std::uint64_t, 3> numbers{};
    std::memcpy(numbers.data(), note.data() + 16 + i * 24, sizeof numbers);
    mappings_.push_back({numbers[0], numbers[1], numbers[2] * page, left.substr(0, end)});
    left.remove_prefix(end + 1);
  }
}

// --- memory

const CoreFile::Segment* CoreFile::segment_of(std::uint64_t address) const {
  const auto behind = std::ranges::upper_bound(segments_, address, {}, &Segment::address);
  if (behind == segments_.begin()) {
    return nullptr;
  }
  const Segment& segment = *std::prev(behind);
  return address - segment.address < segment.memory_bytes ? &segment : nullptr;
}

// From `address` on, as far as it is in one piece.
Bytes CoreFile::available(std::uint64_t address) const {
  const Segment* const segment = segment_of(address);
  if (segment == nullptr) {
    return {};
  }
  const std::uint64_t into = address - segment->address;
  if (into < segment->bytes.size()) {
    return segment->bytes.subspan(into);
  }
  return segment->writable || into < segment->file_bytes ? Bytes{} : from_module(address);
}

Bytes CoreFile::from_module(std::uint64_t address) const {
  for (const Mapping& mapping : mappings_) {
    if (mapping.path != module_ || address < mapping.begin || address >= mapping.end) {
      continue;
    }
    const std::uint64_t offset = mapping.offset + (address - mapping.begin);
    if (offset < mapping.offset || !has(module_file_, offset, 0)) {
      return {};
    }
    return module_file_.subspan(
        offset, std::min<std::uint64_t>(mapping.end - address, module_file_.size() - offset));
  }
  return {};
}

bool CoreFile::read(std::uint64_t address, std::span<std::byte> to) const {
  while (!to.empty()) {
    const Bytes piece = available(address);
    if (piece.empty()) {
      return false;
    }
    const std::size_t length = std::min(piece.size(), to.size());
    std::memcpy(to.data(), piece.data(), length);
    to = to.subspan(length);
    address += length;
  }
  return true;
}

std::vector<std::uint64_t> CoreFile::find(std::string_view pattern) const {
  std::vector<std::uint64_t> found;
  for (const Segment& segment : segments_) {
    if (!mappings_.empty() && module_at(segment.address).empty()) {
      continue;
    }
    const std::string_view all{reinterpret_cast<const char*>(segment.bytes.data()),
                               segment.bytes.size()};
    for (std::size_t at = all.find(pattern); at != std::string_view::npos;
         at = all.find(pattern, at + 1)) {
      if ((segment.address + at) % 8 == 0) {
        found.push_back(segment.address + at);
      }
    }
  }
  return found;
}

// --- modules

std::string CoreFile::module_at(std::uint64_t address) const {
  const auto found = std::ranges::find_if(mappings_, [address](const Mapping& mapping) {
    return address >= mapping.begin && address < mapping.end;
  });
  return found == mappings_.end() ? std::string{} : std::string{found->path};
}

std::optional<std::string> CoreFile::build_id_of(std::string_view path) const {
  const auto first = std::ranges::find_if(mappings_, [path](const Mapping& mapping) {
    return mapping.path == path && mapping.offset == 0;
  });
  if (first == mappings_.end()) {
    return std::nullopt;
  }
  return build_id([&](std::uint64_t offset, std::uint64_t length) {
    std::vector<std::byte> bytes(length);
    if (offset > UINT64_MAX - first->begin || !read(first->begin + offset, bytes)) {
      bytes.clear();
    }
    return bytes;
  });
}

CoreFile::Fits CoreFile::use_module(const std::string& path, Bytes file) {
  const std::optional<std::string> wanted = build_id_of(path);
  const std::optional<std::string> its = build_id([file](std::uint64_t offset,
                                                         std::uint64_t length) {
    return has(file, offset, length)
               ? std::vector<std::byte>(file.begin() + static_cast<std::ptrdiff_t>(offset),
                                        file.begin() + static_cast<std::ptrdiff_t>(offset + length))
               : std::vector<std::byte>{};
  });
  if (wanted.has_value() && wanted != its) {
    return Fits::no;
  }
  module_ = path;
  module_file_ = file;
  return wanted.has_value() ? Fits::yes : Fits::unknown;
}

}  // namespace ballast::ctl::core
