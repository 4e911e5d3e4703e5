"""`rank-cli ingest upgrade`."""
import typer
app = typer.Typer(no_args_is_help=True, help="x")
@app.command("status")
def status() -> None:
    """X."""
@app.command("compare")
def compare() -> None:
    """X."""
