//! The only per-OS code of the suite. Each system offers exactly the names listed here.

#[cfg(unix)]
#[expect(unsafe_code, reason = "system calls")]
mod unix;
#[cfg(windows)]
#[expect(unsafe_code, reason = "system calls")]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

#[cfg(feature = "fault")]
pub(crate) use system::die;
pub(crate) use system::hand_over::hand_over;
pub(crate) use system::inspect::{
    children_with_titles, first_folder, folder_id, in_sessions, loads_python, open_in, sees_file,
    sees_same, user_of, variables_of, with_marks, with_variables,
};
pub(crate) use system::suspended::{resume_hint, suspended};
pub(crate) use system::{
    AT_LOG_ON, ChildHandle, DEFAULT_PATH, EMPTY_IN_PATH_IS_HERE, FOLDER_ONLY, FileId,
    LAUNCH_COMMAND, LOCKS_ARE_INHERITED, MACHINE_HOLDER_HINT, MACHINE_PART, MACHINE_TEXT,
    MachineLegs, NOT_MARKED, NOWHERE, PROGRAM_ENDINGS, PYTHON_IN_ENVIRONMENT, PYTHON_ON_PATH,
    ProcessHandle, ProgramId, Relay, SCRIPTS_NAME_THEIR_PROGRAM, SHUTDOWN_COMMAND, SHUTDOWN_HINT,
    Waker, Watcher, allow_open_files, ask_all, boot_id, child_handle, close_limit, cut_front,
    describe, exit_of, file_id, fill_random, folder_text, forget_machine_guard, has_group,
    has_other_names, has_own_namespaces, host_name, id_text, is_at, is_container, is_open_in,
    is_out_of_room, is_same_variable, is_transient, kill, let_share, let_share_directory, link,
    listener, machine_file, machine_locked, machine_names, machine_unusable, may_run, on_hang_up,
    on_interrupt, open_child, open_process, open_to_writers, openers, other_owner, output_mode,
    owner, pass_on, pid_namespace, pids, prepare, press_ctrl_break, process_handle, program_at,
    reset_inherited, return_memory, run_helper, scan, set_output_mode, socket_openers, spawn,
    spawn_detached, start_time, try_lock, user_name, volume, wait_any, watch_session, whole_blocks,
};
#[cfg(feature = "channel")]
pub(crate) use system::{CallLimit, LocalPlace, clear_left_over, for_this_user};
pub(crate) use system::{prepare_following, spawn_apart};

/// The rights of others to a file while it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// Read, write, delete and rename it.
    Everything,
    /// Read and write it: a guard. On Unix, a new one is its owner's alone to begin with.
    Guard,
}

/// How long a text may be, and how that is counted.
pub(crate) struct Measure {
    pub(crate) most: usize,
    pub(crate) length: fn(&str) -> usize,
}
